// The memory that entries of one partition wait in until their record is durable.
// In:  entries of one partition, in the order they must have in the log.
// Out: records, as pieces of the slab one after the other.
// Absent: the log, when to cut (append.ts).

import { slabBytes } from '../limits.ts'
import type { Waiter } from './waiter.ts'

/*
 * |  cut, under way or durable  |  open record  |  free  |
 * 0                             start           end      slabBytes
 *
 * One slab carries several records, so that bytes under way cost about their own size in memory
 * however small the records are. It is retired when less than half is free (a record can then still
 * hold half a slab), and goes back to the pool when all its records have settled.
 */
export class Slab {
  readonly bytes = new Uint8Array(slabBytes)
  readonly view = new DataView(this.bytes.buffer)
  start = 0
  end = 0
  /** Records cut and not settled. */
  underWay = 0
  isRetired = false
  /** Requests with entries in the open record, each once. */
  waiters: Waiter[] = []
  /** The last of them: one comparison an entry tells whether the request is known here. */
  newest: Waiter | undefined

  get openBytes(): number {
    return this.end - this.start
  }

  /** Ends the open record, if it has any bytes, and begins the next one behind it. */
  cut(): { bytes: Uint8Array; waiters: readonly Waiter[] } {
    const record = { bytes: this.bytes.subarray(this.start, this.end), waiters: this.waiters }
    this.start = this.end
    this.waiters = []
    this.newest = undefined
    this.underWay += 1
    if (slabBytes - this.end < slabBytes / 2) this.isRetired = true
    return record
  }

  /** Ready for its next use. */
  reset(): void {
    this.start = 0
    this.end = 0
    this.isRetired = false
  }
}
