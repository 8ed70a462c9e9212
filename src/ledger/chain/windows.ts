// How much time of a bucket is read at once, so that its rows fit into memory.
// In:  how many rows the last window had.
// Out: the span of the next one.
// Absent: reading.

import type { Moment } from '../moment.ts'

const second = 1_000_000
const spanMax = 36_500 * 86_400 * second

/** A window shrinks until its rows fit, and grows while they are few. */
export class Windows {
  #span = 10 * second
  readonly #rowsMax: number

  /** @param rowsMax what one window has room for */
  constructor(rowsMax: number) {
    this.#rowsMax = rowsMax
  }

  /** Until when to read from `floor` on. */
  after(floor: Moment): Moment {
    return floor + this.#span
  }

  /** There were more rows than fit. False when the span cannot be any smaller. */
  shrink(): boolean {
    if (this.#span === 1) return false
    this.#span = Math.max(1, Math.floor(this.#span / 4))
    return true
  }

  had(rows: number): void {
    if (rows < this.#rowsMax / 4) this.#span = Math.min(spanMax, this.#span * 2)
  }
}
