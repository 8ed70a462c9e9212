// Records of a few partitions, each in order, whichever of them is asked for next.
// In:  a log, where to begin and where to end.
// Out: one record after the other of a partition; why there is none.
// Absent: what is in them.

import { setTimeout as delay } from 'node:timers/promises'
import { LedgerError } from '../../errors.ts'
import { readBytes } from '../../limits.ts'
import type { LogView } from '../../log/embedded-view.ts'
import type { LogReader, LogRecord, Offset } from '../../log/log.ts'

/** What is read ahead of those that are asked for; past it, only the one that is. */
const aheadBytesMax = 64 << 20
/** A log that has a record gives it out within so long. */
const patienceMs = 20_000

interface Queue {
  records: LogRecord[]
  /** The next offset to be read. */
  next: Offset
  /** Nothing from here on is wanted. */
  end: Offset
}

export class LogFeed {
  readonly #reader: LogReader
  readonly #queues: Map<number, Queue>
  readonly #faults: Map<number, LedgerError>
  #aheadBytes = 0
  /** The one partition that is read, when too much of the others is here. */
  #only: number | undefined

  private constructor(
    reader: LogReader,
    queues: Map<number, Queue>,
    faults: Map<number, LedgerError>,
  ) {
    this.#reader = reader
    this.#queues = queues
    this.#faults = faults
  }

  static async open(
    log: LogView,
    spans: ReadonlyMap<number, { from: Offset; end: Offset }>,
  ): Promise<LogFeed> {
    const faults = new Map<number, LedgerError>()
    const reader = await log.openReader({
      onFault: (partition, error) => faults.set(partition, error),
    })
    const queues = new Map(
      [...spans].map(([partition, { from, end }]) => [partition, { records: [], next: from, end }]),
    )
    const feed = new LogFeed(reader, queues, faults)
    await feed.#assign(spans.keys())
    return feed
  }

  /**
   * The next record of a partition; undefined at its end.
   *
   * @throws LedgerError OFFSET_GONE or OFFSET_BEYOND_END
   */
  async next(partition: number): Promise<LogRecord | undefined> {
    const queue = this.#queues.get(partition)
    if (queue === undefined) return undefined
    const deadline = performance.now() + patienceMs
    while (queue.records.length === 0) {
      if (queue.next >= queue.end) return undefined
      const fault = this.#faults.get(partition)
      if (fault !== undefined) throw fault
      if (performance.now() > deadline) {
        const where = `Partition ${partition}: expected a record from offset ${queue.next} on`
        throw new LedgerError('OFFSET_BEYOND_END', `${where}, found none before ${queue.end}.`)
      }
      await this.#read(partition)
    }
    const record = queue.records.shift()
    this.#aheadBytes -= record?.bytes.length ?? 0
    return record
  }

  close(): Promise<void> {
    return this.#reader.close()
  }

  async #read(partition: number): Promise<void> {
    const only = this.#aheadBytes > aheadBytesMax ? partition : undefined
    if (only !== this.#only) await this.#assign(only === undefined ? this.#queues.keys() : [only])
    this.#only = only
    const records = await this.#reader.read(readBytes)
    if (records.length === 0) await delay(5)
    for (const record of records) {
      const queue = this.#queues.get(record.partition)
      if (queue === undefined || record.offset >= queue.end) {
        if (queue) queue.next = queue.end
        continue
      }
      // A reader may use its bytes again.
      queue.records.push({ ...record, bytes: Uint8Array.from(record.bytes) })
      queue.next = record.offset + 1
      this.#aheadBytes += record.bytes.length
    }
  }

  async #assign(partitions: Iterable<number>): Promise<void> {
    const positions = new Map<number, Offset>()
    for (const partition of partitions) {
      const queue = this.#queues.get(partition)
      if (queue && queue.next < queue.end) positions.set(partition, queue.next)
    }
    await this.#reader.assign(positions)
  }
}
