// Records that have arrived and were not asked for yet.
// In:  records in the order of arrival.
// Out: as many as fit the bytes asked for, and a guess how many that will be.
// Absent: where they come from.

import type { LogRecord } from './log.ts'

export class Backlog {
  private records: LogRecord[] = []
  private at = 0
  /**
   * Usual length of a record, in bytes: half of it is the last one, a quarter the one before, and
   * so on.
   */
  private usual = 1024

  get length(): number {
    return this.records.length - this.at
  }

  add(record: LogRecord): void {
    this.records.push(record)
    this.usual += (record.bytes.length - this.usual) / 2
  }

  /** How many records are likely to have this many bytes; at least one. */
  expected(bytes: number): number {
    return Math.max(1, Math.ceil(bytes / Math.max(this.usual, 1)))
  }

  /** Removes and returns the first records of at most `maxBytes`, but at least one. */
  take(maxBytes: number): LogRecord[] {
    let bytes = 0
    let end = this.at
    for (; end < this.records.length; end += 1) {
      bytes += this.records[end]?.bytes.length ?? 0
      if (bytes > maxBytes && end > this.at) break
    }
    const taken = this.records.slice(this.at, end)
    this.at = end
    if (this.length === 0) this.clear()
    return taken
  }

  drop(partition: number): void {
    this.records = this.records.slice(this.at).filter((record) => record.partition !== partition)
    this.at = 0
  }

  clear(): void {
    this.records = []
    this.at = 0
  }
}
