// Shows how an import goes: a bar on a terminal, a line now and then elsewhere.
// In:  how far it is.
// Out: text on standard error.
// Absent: what is imported.

export interface Standing {
  offset: number
  taken: number
  refused: number
}

interface Terminal {
  isTTY?: boolean
  columns?: number
  write(text: string): unknown
}

const barIntervalMs = 200
const lineIntervalMs = 5000
const count = new Intl.NumberFormat('en-US')

export class Progress {
  readonly #terminal: Terminal
  readonly #totalBytes: number | undefined
  readonly #first: Standing
  readonly #started = performance.now()
  #shown = 0
  #hasBar = false

  /** @param totalBytes undefined where nobody knows */
  constructor(first: Standing, totalBytes: number | undefined, terminal: Terminal) {
    this.#first = first
    this.#totalBytes = totalBytes
    this.#terminal = terminal
    this.#shown = this.#started
  }

  get seconds(): number {
    return (performance.now() - this.#started) / 1000
  }

  update(standing: Standing): void {
    const isTerminal = this.#terminal.isTTY === true
    const now = performance.now()
    if (now - this.#shown < (isTerminal ? barIntervalMs : lineIntervalMs)) return
    this.#shown = now
    const text = this.#text(standing)
    if (isTerminal) {
      const room = Math.max(20, (this.#terminal.columns ?? 80) - 1)
      this.#terminal.write(`\r\x1b[K${`${this.#bar(standing)}${text}`.slice(0, room)}`)
      this.#hasBar = true
    } else {
      this.#terminal.write(`${text}\n`)
    }
  }

  /** Takes the bar away. */
  end(): void {
    if (this.#hasBar) this.#terminal.write('\r\x1b[K')
    this.#hasBar = false
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

  #bar({ offset }: Standing): string {
    if (this.#totalBytes === undefined) return ''
    const width = 24
    const full = Math.min(width, Math.floor((width * offset) / Math.max(this.#totalBytes, 1)))
    return `[${'#'.repeat(full)}${'-'.repeat(width - full)}] `
  }
}

function duration(seconds: number): string {
  if (seconds < 60) return `${Math.ceil(seconds)} s`
  if (seconds < 3600) return `${Math.ceil(seconds / 60)} min`
  return `${(seconds / 3600).toFixed(1)} h`
}
