// Shows how a verification goes.
// In:  which step it is at, and how far.
// Out: a status line.
// Absent: what is verified.

import { StatusLine, type Terminal } from '../status-line.ts'

const count = new Intl.NumberFormat('en-US')

export class VerifyProgress {
  readonly #line: StatusLine
  readonly #firstRows: number

  /** @param firstRows rows that were checked by an earlier run */
  constructor(terminal: Terminal, firstRows: number) {
    this.#line = new StatusLine(terminal)
    this.#firstRows = firstRows
  }

  get seconds(): number {
    return this.#line.seconds
  }

  /** @param share of all of it, 0 to 1 */
  update(step: string, share: number, rows: number, findings: number): void {
    this.#line.update(() => {
      const rate = (rows - this.#firstRows) / Math.max(this.seconds, 0.001)
      const parts = [
        `${Math.floor(share * 100)}%`,
        step,
        `${count.format(rows)} rows`,
        `${count.format(Math.round(rate))}/s`,
        ...(findings > 0 ? [`${count.format(findings)} findings`] : []),
      ]
      return parts.join(', ')
    }, share)
  }

  /** Takes the bar away. */
  clear(): void {
    this.#line.clear()
  }
}
