// A reader of the embedded log.
// In:  positions; records that are on disk.
// Out: records in order, or a fault where a position is not in the log.
// Absent: writing; waiting for the disk on the main thread.

import assert from 'node:assert/strict'
import { LedgerError } from '../errors.ts'
import type { EmbeddedRecords } from './embedded-records.ts'
import type { RecordKey } from './embedded-store.ts'
import type { LogReader, LogRecord, Offset, ReaderOptions } from './log.ts'

/** How long a read waits for something to arrive. */
const patienceMs = 100

/** Records brought in from disk by another thread for one read; those of 64 kB make 4 MiB. */
const prefetchRecordsMax = 64

export class EmbeddedReader implements LogReader {
  private readonly records: EmbeddedRecords
  private readonly options: ReaderOptions
  private readonly positions = new Map<number, Offset>()
  /** The assigned partitions, and which of them comes first in the next read. */
  private order: readonly number[] = []
  private turn = 0
  /** Aborted when the assignment ends. */
  private assignment = new AbortController()
  private isClosed = false
  private isReading = false

  constructor(records: EmbeddedRecords, options: ReaderOptions) {
    this.records = records
    this.options = options
  }

  assign(positions: ReadonlyMap<number, Offset>): Promise<void> {
    this.assignment.abort()
    this.assignment = new AbortController()
    this.positions.clear()
    for (const [partition, position] of positions) {
      this.records.partition(partition)
      this.positions.set(partition, position)
    }
    this.order = [...positions.keys()]
    this.turn = 0
    return Promise.resolve()
  }

  async read(maxBytes: number): Promise<LogRecord[]> {
    assert(!this.isReading, 'one read at a time')
    this.isReading = true
    try {
      return await this.readOrWait(maxBytes)
    } finally {
      this.isReading = false
    }
  }

  /** Ends a read under way, with nothing. */
  close(): Promise<void> {
    this.isClosed = true
    this.positions.clear()
    this.assignment.abort()
    return Promise.resolve()
  }

  private async readOrWait(maxBytes: number): Promise<LogRecord[]> {
    const deadline = performance.now() + patienceMs
    while (!this.isClosed) {
      this.reportFaults()
      const { signal } = this.assignment
      const cold = this.firstOnDisk()
      if (cold.length > 0) await this.records.prefetch(cold)
      if (signal.aborted) continue
      const records = this.take(maxBytes, cold.length)
      if (records.length > 0) return records
      const patience = deadline - performance.now()
      if (patience <= 0) break
      await this.records.wait(patience, signal)
    }
    return []
  }

  private reportFaults(): void {
    for (const [partition, position] of this.positions) {
      const { first, next } = this.records.range(partition)
      if (position >= first && position <= next) continue
      this.positions.delete(partition)
      const wanted = `Partition ${partition}: expected offset ${position}`
      const error =
        position < first
          ? new LedgerError('OFFSET_GONE', `${wanted}, the log begins at ${first}.`)
          : new LedgerError('OFFSET_BEYOND_END', `${wanted}, the log ends before ${next}.`)
      this.options.onFault(partition, error)
    }
  }

  /** The first records that a read would return and that are not in memory. */
  private firstOnDisk(): RecordKey[] {
    const keys: RecordKey[] = []
    for (let at = 0; at < this.order.length; at += 1) {
      const partition = this.inTurn(at)
      const position = this.positions.get(partition)
      if (position === undefined) continue
      const { next } = this.records.range(partition)
      for (let offset = position; offset < next; offset += 1) {
        if (this.records.isInMemory(partition, offset)) break
        if (keys.length === prefetchRecordsMax) return keys
        keys.push(this.records.partition(partition).key(offset))
      }
    }
    return keys
  }

  /**
   * Takes records partition by partition; the one where the space ends is followed by the next in
   * the next read.
   */
  private take(maxBytes: number, fromDiskMax: number): LogRecord[] {
    const taken: LogRecord[] = []
    let [bytes, fromDisk] = [0, 0]
    for (let at = 0; at < this.order.length; at += 1) {
      const partition = this.inTurn(at)
      let position = this.positions.get(partition)
      if (position === undefined) continue
      // Trimmed while another thread was reading ahead: the next read reports it.
      const { first, next } = this.records.range(partition)
      if (position < first) continue
      for (; position < next; position += 1) {
        if (!this.records.isInMemory(partition, position)) {
          if (fromDisk === fromDiskMax) break
          fromDisk += 1
        }
        const record = this.records.read(partition, position)
        if (taken.length > 0 && bytes + record.bytes.length > maxBytes) {
          this.positions.set(partition, position)
          this.turn += at + 1
          return taken
        }
        bytes += record.bytes.length
        taken.push(record)
      }
      this.positions.set(partition, position)
    }
    // A partition far behind must not be the only one that is read from disk.
    if (fromDisk === prefetchRecordsMax) this.turn += 1
    return taken
  }

  private inTurn(at: number): number {
    const partition = this.order.at((this.turn + at) % this.order.length)
    assert(partition !== undefined)
    return partition
  }
}
