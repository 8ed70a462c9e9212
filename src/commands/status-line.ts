// How a long command goes, in one line: a bar on a terminal, a line now and then elsewhere.
// In:  a text and a share, whenever there is news.
// Out: text on standard error.
// Absent: what a command has to say.

export interface Terminal {
  isTTY?: boolean
  columns?: number
  write(text: string): unknown
}

const barIntervalMs = 200
const lineIntervalMs = 5000
const barWidth = 24

export class StatusLine {
  readonly #terminal: Terminal
  readonly #started = performance.now()
  #shown = this.#started
  #hasBar = false

  constructor(terminal: Terminal) {
    this.#terminal = terminal
  }

  /** Since the command began. */
  get seconds(): number {
    return (performance.now() - this.#started) / 1000
  }

  /**
   * Shows a text, unless one was shown a moment ago.
   *
   * @param share of all there is to do, 0 to 1; undefined where nobody knows
   */
  update(text: () => string, share: number | undefined): void {
    const isTerminal = this.#terminal.isTTY === true
    const now = performance.now()
    if (now - this.#shown < (isTerminal ? barIntervalMs : lineIntervalMs)) return
    this.#shown = now
    if (!isTerminal) {
      this.#terminal.write(`${text()}\n`)
      return
    }
    const room = Math.max(20, (this.#terminal.columns ?? 80) - 1)
    this.#terminal.write(`\r\x1b[K${`${barOf(share)}${text()}`.slice(0, room)}`)
    this.#hasBar = true
  }

  /** Takes the bar away. */
  clear(): void {
    if (this.#hasBar) this.#terminal.write('\r\x1b[K')
    this.#hasBar = false
  }
}

function barOf(share: number | undefined): string {
  if (share === undefined) return ''
  const full = Math.min(barWidth, Math.floor(share * barWidth))
  return `[${'#'.repeat(full)}${'-'.repeat(barWidth - full)}] `
}
