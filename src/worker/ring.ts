// Space for records on their way to one worker: a byte ring in shared memory, written by the
// orchestrator only.
// In:  lengths of records, and how far the worker has released.
// Out: where each record may be copied, or a wait.
// Absent: the records' meaning, messages, threads.

import assert from 'node:assert/strict'

// released ≤ reserved ≤ released + capacity; both only grow.
export class Ring {
  readonly capacity: number
  readonly shared: SharedArrayBuffer
  private readonly bytes: Uint8Array
  private reserved = 0
  private released = 0
  private waiting: (() => void) | undefined

  /** @param capacity in bytes; no record may be longer than half of it */
  constructor(capacity: number) {
    this.capacity = capacity
    this.shared = new SharedArrayBuffer(capacity)
    this.bytes = new Uint8Array(this.shared)
  }

  /** Bytes reserved and not released, what a wrap left unused included. */
  get used(): number {
    return this.reserved - this.released
  }

  /** The counter to release up to once everything written so far has been applied. */
  get end(): number {
    return this.reserved
  }

  /**
   * Copies a record in where it lies in one piece. Returns its position in the ring, or -1 when
   * there is no room now.
   */
  write(record: Uint8Array): number {
    assert(record.length <= this.capacity / 2, 'a record must fit into half of the ring')
    const position = this.reserved % this.capacity
    const skipped = position + record.length > this.capacity ? this.capacity - position : 0
    if (this.used + skipped + record.length > this.capacity) return -1
    const at = skipped > 0 ? 0 : position
    this.bytes.set(record, at)
    this.reserved += skipped + record.length
    return at
  }

  /** Frees everything before `counter`, a former `end`. */
  release(counter: number): void {
    assert(counter >= this.released && counter <= this.reserved, 'a release must lie in the ring')
    this.released = counter
    this.wake()
  }

  /** Resolves at the next release, or at wake(). */
  waitForRelease(): Promise<void> {
    return new Promise((resolve) => {
      const previous = this.waiting
      this.waiting = () => {
        previous?.()
        resolve()
      }
    })
  }

  /** Ends every wait, so that the waiter looks around again. */
  wake(): void {
    const waiting = this.waiting
    this.waiting = undefined
    waiting?.()
  }
}
