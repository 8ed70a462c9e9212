// Shows how an import goes.
// In:  how far it is.
// Out: a status line.
// Absent: what is imported.

import { StatusLine, type Terminal } from '../status-line.ts'

export interface Standing {
  offset: number
  taken: number
  refused: number
}

const count = new Intl.NumberFormat('en-US')

export class Progress {
  readonly #line: StatusLine
  readonly #totalBytes: number | undefined
  readonly #first: Standing

  /** @param totalBytes undefined where nobody knows */
  constructor(first: Standing, totalBytes: number | undefined, terminal: Terminal) {
    this.#line = new StatusLine(terminal)
    this.#first = first
    this.#totalBytes = totalBytes
  }

  get seconds(): number {
    return this.#line.seconds
  }

  update(standing: Standing): void {
    const share =
      this.#totalBytes === undefined ? undefined : standing.offset / Math.max(this.#totalBytes, 1)
    this.#line.update(() => this.#text(standing), share)
  }

  /** Takes the bar away. */
  end(): void {
    this.#line.clear()
  }

  #text({ offset, taken, refused }: Standing): string {
    const seconds = Math.max(this.seconds, 0.001)
    const rate = (taken - this.#first.taken) / seconds
    const parts = [`${count.format(taken)} taken`, `${count.format(Math.round(rate))}/s`]
    if (refused > 0) parts.push(`${count.format(refused)} refused`)
    const bytesRate = (offset - this.#first.offset) / seconds
    if (this.#totalBytes !== undefined && bytesRate > 0) {
      const left = (this.#totalBytes - offset) / bytesRate
      parts.unshift(`${Math.floor((100 * offset) / Math.max(this.#totalBytes, 1))}%`)
      parts.push(`${duration(left)} left`)
    }
    return parts.join(', ')
  }
}

function duration(seconds: number): string {
  if (seconds < 60) return `${Math.ceil(seconds)} s`
  if (seconds < 3600) return `${Math.ceil(seconds / 60)} min`
  return `${(seconds / 3600).toFixed(1)} h`
}
