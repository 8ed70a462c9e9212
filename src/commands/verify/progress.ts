// Shows how a verification goes: a bar on a terminal, a line now and then elsewhere.
// In:  which step it is at, and how far.
// Out: text on standard error.
// Absent: what is verified.

interface Terminal {
  isTTY?: boolean
  columns?: number
  write(text: string): unknown
}

const barIntervalMs = 200
const lineIntervalMs = 5000
const barWidth = 24
const count = new Intl.NumberFormat('en-US')

export class VerifyProgress {
  readonly #terminal: Terminal
  readonly #started = performance.now()
  readonly #firstRows: number
  #shown = performance.now()
  #hasBar = false

  /** @param firstRows rows that were checked by an earlier run */
  constructor(terminal: Terminal, firstRows: number) {
    this.#terminal = terminal
    this.#firstRows = firstRows
  }

  get seconds(): number {
    return (performance.now() - this.#started) / 1000
  }

  /** @param share of all of it, 0 to 1 */
  update(step: string, share: number, rows: number, findings: number): void {
    const isTerminal = this.#terminal.isTTY === true
    const now = performance.now()
    if (now - this.#shown < (isTerminal ? barIntervalMs : lineIntervalMs)) return
    this.#shown = now
    const rate = (rows - this.#firstRows) / Math.max(this.seconds, 0.001)
    const parts = [
      `${Math.floor(share * 100)}%`,
      step,
      `${count.format(rows)} rows`,
      `${count.format(Math.round(rate))}/s`,
      ...(findings > 0 ? [`${count.format(findings)} findings`] : []),
    ]
    const text = parts.join(', ')
    if (!isTerminal) {
      this.#terminal.write(`${text}\n`)
      return
    }
    const full = Math.min(barWidth, Math.floor(share * barWidth))
    const bar = `[${'#'.repeat(full)}${'-'.repeat(barWidth - full)}] `
    const room = Math.max(20, (this.#terminal.columns ?? 80) - 1)
    this.#terminal.write(`\r\x1b[K${`${bar}${text}`.slice(0, room)}`)
    this.#hasBar = true
  }

  /** Takes the bar away. */
  clear(): void {
    if (this.#hasBar) this.#terminal.write('\r\x1b[K')
    this.#hasBar = false
  }
}
