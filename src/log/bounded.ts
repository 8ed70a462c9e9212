// A log as if it ended at given offsets.
// In:  a log, an end for each partition.
// Out: a Log to read from that holds nothing past the ends, and never changes.
// Absent: appending, releasing, closing: the log belongs to somebody else.

import { LedgerError } from '../errors.ts'
import type { Log, LogReader, Offset } from './log.ts'

/** Partitions without an end hold nothing. */
export function boundedLog(log: Log, ends: ReadonlyMap<number, Offset>): Log {
  const endOf = (partition: number): Offset => ends.get(partition) ?? 0
  return {
    identity: log.identity,
    append: () => Promise.reject(new LedgerError('LOG_FULL', 'This log is only read.')),
    async openReader(options) {
      const reader = await log.openReader(options)
      const bounded: LogReader = {
        assign: (positions) => {
          const isThere = ([partition, offset]: [number, Offset]): boolean =>
            offset < endOf(partition)
          return reader.assign(new Map([...positions].filter(isThere)))
        },
        async read(maxBytes) {
          const records = await reader.read(maxBytes)
          return records.filter(({ partition, offset }) => offset < endOf(partition))
        },
        close: () => reader.close(),
      }
      return bounded
    },
    async ranges(partitions) {
      const ranges = await log.ranges(partitions)
      const cut = [...ranges].map(([partition, { first }]) => {
        const next = Math.max(first, endOf(partition))
        return [partition, { first, next }] as const
      })
      return new Map(cut)
    },
    release: () => Promise.resolve(),
    unavailable: () => log.unavailable(),
    close: () => Promise.resolve(),
  }
}
