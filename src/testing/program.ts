// The program as a child process, started, watched and killed by tests.
// In:  flags.
// Out: its log lines, its address, its end.
// Absent: the program's code; it is run as any operator would run it.

import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as delay } from 'node:timers/promises'
import { forgetGroup, watchGroup } from './guard.ts'

/** A line of the program's log. */
export type LogLine = Readonly<Record<string, unknown>> & { msg?: string }

export interface ProgramEnd {
  code: number | null
  signal: NodeJS.Signals | null
}

/** How the program is started, before its flags. */
export interface Launch {
  command: readonly [string, ...string[]]
  /** The test's own where they are absent. */
  cwd?: string
  env?: NodeJS.ProcessEnv
  uid?: number
  gid?: number
}

/** The program of this clone. */
export const programCommand: Launch['command'] = [
  process.execPath,
  join(import.meta.dirname, '..', 'main.js'),
]
const fromClone: Launch = { command: programCommand }
const linesMax = 2_000

/** Names of the running programs are for messages only. */
let started = 0

export class Program {
  readonly name: string
  readonly child: ChildProcess
  /** The latest log lines, and what was printed besides. */
  readonly lines: LogLine[] = []
  readonly exited: Promise<ProgramEnd>
  end: ProgramEnd | undefined
  #listen: string | undefined
  #databaseUrl: string | undefined
  #waiting = new Set<() => void>()

  constructor(flags: readonly string[], { command, ...where }: Launch = fromClone) {
    this.name = `program ${++started}`
    const [file, ...args] = command
    this.child = spawn(file, [...args, '--log-format', 'json', ...flags], {
      ...where,
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    if (this.child.pid !== undefined) watchGroup(this.child.pid)
    this.#collect()
    this.exited = this.#awaitExit()
  }

  /** e.g. `http://127.0.0.1:40123`; only once ready. */
  get url(): string {
    if (this.#listen === undefined) throw new Error(`${this.name} is not ready.`)
    return `http://${this.#listen}`
  }

  /** Where it keeps its tables; only once ready. */
  get databaseUrl(): string {
    if (this.#databaseUrl === undefined) throw new Error(`${this.name} is not ready.`)
    return this.#databaseUrl
  }

  get isUp(): boolean {
    return this.#listen !== undefined && this.end === undefined
  }

  /** Resolves when it has logged that it is ready. */
  async ready(timeoutMs = 30_000): Promise<this> {
    await this.logged((line) => line.msg === 'ready', timeoutMs)
    return this
  }

  /**
   * Resolves with the first log line that fits, past or to come; rejects when it ends without one.
   */
  async logged(fits: (line: LogLine) => boolean, timeoutMs = 30_000): Promise<LogLine> {
    const deadline = Date.now() + timeoutMs
    for (;;) {
      const found = this.lines.find(fits)
      if (found !== undefined) return found
      if (this.end !== undefined) throw new Error(`${this.name} ended.\n${this.story()}`)
      if (Date.now() > deadline) {
        throw new Error(`${this.name} logged no such line in ${timeoutMs} ms.\n${this.story()}`)
      }
      await this.#nextLine(deadline - Date.now())
    }
  }

  /** Sends a signal to the program, not to what it started. */
  kill(signal: NodeJS.Signals): void {
    this.child.kill(signal)
  }

  /** Asks it to end, and resolves with how it did. */
  async stop(timeoutMs = 30_000): Promise<ProgramEnd> {
    this.kill('SIGTERM')
    return this.awaitEnd(timeoutMs)
  }

  async awaitEnd(timeoutMs = 30_000): Promise<ProgramEnd> {
    const timer = new AbortController()
    const late = delay(timeoutMs, undefined, { signal: timer.signal }).then(
      () => {
        throw new Error(`${this.name} still runs after ${timeoutMs} ms.\n${this.story()}`)
      },
      () => new Promise<never>(() => undefined),
    )
    try {
      return await Promise.race([this.exited, late])
    } finally {
      timer.abort()
    }
  }

  /** How it ended and what it logged last, for messages. */
  story(): string {
    const last = this.lines.slice(-30).map((line) => `  ${JSON.stringify(line)}`)
    return [`${this.name}: ${JSON.stringify(this.end ?? 'running')}`, ...last].join('\n')
  }

  async #awaitExit(): Promise<ProgramEnd> {
    const closed = once(this.child, 'close')
    const [code, signal] = (await once(this.child, 'exit')) as [
      ProgramEnd['code'],
      ProgramEnd['signal'],
    ]
    // What it started may hold its output open after it is gone.
    await Promise.race([closed, delay(300, undefined, { ref: false })])
    if (this.child.pid !== undefined) forgetGroup(this.child.pid)
    this.end = { code, signal }
    this.#wake()
    return this.end
  }

  #collect(): void {
    for (const stream of [this.child.stdout, this.child.stderr]) {
      if (stream === null) continue
      createInterface({ input: stream }).on('line', (text) => this.#take(parseLine(text)))
    }
  }

  #take(line: LogLine): void {
    this.lines.push(line)
    if (this.lines.length > linesMax) this.lines.splice(0, linesMax / 2)
    if (line.msg === 'ready') {
      this.#listen = String(line['listen'])
      this.#databaseUrl = String(line['databaseUrl'])
    }
    this.#wake()
  }

  #wake(): void {
    for (const wake of this.#waiting) wake()
  }

  #nextLine(timeoutMs: number): Promise<void> {
    return new Promise((resolve) => {
      const wake = (): void => {
        clearTimeout(timer)
        this.#waiting.delete(wake)
        resolve()
      }
      const timer = setTimeout(wake, Math.max(timeoutMs, 1))
      this.#waiting.add(wake)
    })
  }
}

function parseLine(text: string): LogLine {
  try {
    return JSON.parse(text) as LogLine
  } catch {
    return { printed: text }
  }
}
