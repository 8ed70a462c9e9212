// The records waiting in a worker's ring, in order of arrival, as the numbers they came as.
// In:  messages of slices.
// Out: the oldest ones, looked at first and dropped when applied, so that a failed flush can look
//      again.
// Absent: the bytes of the records.

import { slice, sliceFields } from './protocol.ts'

export class SliceQueue {
  private messages: Float64Array[] = []
  /** Index into the first message of the oldest slice. */
  private at = 0
  private slices = 0
  /** Places in the ring, counted on: where the newest slice ends, and the last that was dropped. */
  private newestEnd = 0
  private droppedEnd = 0

  get length(): number {
    return this.slices
  }

  /** Of the ring, for the records that wait. */
  get bytes(): number {
    return this.newestEnd - this.droppedEnd
  }

  push(message: Float64Array): void {
    if (message.length === 0) return
    this.messages.push(message)
    this.slices += message.length / sliceFields
    this.newestEnd = message[message.length - sliceFields + slice.ringEnd]
  }

  /**
   * Calls `visit` with each slice, oldest first, as (numbers, index of its first), until it returns
   * false.
   */
  visit(visit: (numbers: Float64Array, at: number) => boolean): void {
    let at = this.at
    for (const message of this.messages) {
      for (; at < message.length; at += sliceFields) if (!visit(message, at)) return
      at = 0
    }
  }

  /** Forgets the oldest `count` slices, the last of which ends at `ringEnd`. */
  drop(count: number, ringEnd: number): void {
    this.droppedEnd = ringEnd
    this.slices -= count
    this.at += count * sliceFields
    let whole = 0
    while (whole < this.messages.length && this.at >= this.messages[whole].length) {
      this.at -= this.messages[whole].length
      whole++
    }
    if (whole > 0) this.messages = this.messages.slice(whole)
  }
}
