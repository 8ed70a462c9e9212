// What the program finds around itself, in a simulated process or thread: its clock, its timers,
// its modules.
// In:  whose turn it is (scheduler.ts).
// Out: globals and `require`, by name.
// Absent: the network and the databases behind those modules.

import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import { Random } from '../random.ts'
import { postgresModules, type ClientSide, type Network } from './database/client.ts'
import { here, type Due, type Life, type Scheduler } from './scheduler.ts'
import { workerModules, type ThreadHost } from './threads.ts'

/** 2026-11-24, noon UTC: what the clocks say when a simulation begins. */
export const beginning = Date.UTC(2026, 10, 24, 12)

/** Names that the program's text means something else by than usual. */
export const environmentNames = [
  'require',
  'setTimeout',
  'clearTimeout',
  'setInterval',
  'clearInterval',
  'performance',
  'Date',
  'Math',
  'crypto',
] as const

export type Environment = Record<(typeof environmentNames)[number], unknown> & {
  require: (name: string) => unknown
}

/** Of one process or thread. */
export interface Surroundings {
  scheduler: Scheduler
  random: Random
  life: Life
  /** How far its clock is wrong. */
  clockErrorMs: () => number
  network: Network
  /** At its end of a connection. */
  side: ClientSide
  /** Of threads that it starts. */
  threads: ThreadHost
}

/**
 * For all processes and threads: each finds its own around itself. The program's modules keep
 * nothing between calls but constants, so they are evaluated once.
 */
export function createEnvironment(): Environment {
  const modules = {
    ...quietModules,
    ...postgresModules(),
    ...workerModules(),
    'node:timers/promises': { setTimeout: delay },
    'node:timers': { setImmediate: (run: () => void) => new Timer(0, run) },
  }
  const fixed = new Random(1)
  return {
    require: requireFrom(modules),
    setTimeout: (run: () => void, milliseconds: number) => new Timer(milliseconds, run),
    setInterval: (run: () => void, milliseconds: number) => new Interval(milliseconds, run),
    clearTimeout: clear,
    clearInterval: clear,
    performance: { now: () => here().scheduler.now },
    Date: SimulatedDate,
    Math: Object.assign(Object.create(Math), { random: () => here().random.fraction() }) as unknown,
    crypto: { getRandomValues: (target: Int32Array) => target.map(() => fixed.uint32()) },
  }
}

class SimulatedDate extends Date {
  constructor(...parts: [] | [number]) {
    super(parts.length === 0 ? SimulatedDate.now() : parts[0])
  }

  static override now(): number {
    const { scheduler, clockErrorMs } = here()
    return Math.floor(beginning + scheduler.now + clockErrorMs())
  }
}

class Timer {
  protected due: Due

  constructor(milliseconds: number, run: () => void) {
    const { scheduler, life } = here()
    this.due = scheduler.after(milliseconds, life, run)
  }

  cancel(): void {
    this.due.cancelled = true
  }

  unref(): this {
    return this
  }
}

class Interval extends Timer {
  constructor(milliseconds: number, run: () => void) {
    const { scheduler, life } = here()
    const again = (): void => {
      this.due = scheduler.after(milliseconds, life, again)
      run()
    }
    super(milliseconds, again)
  }
}

function clear(timer: Timer | undefined): void {
  timer?.cancel()
}

/** setTimeout of node:timers/promises. */
function delay(
  milliseconds = 0,
  value?: unknown,
  { signal }: { signal?: AbortSignal } = {},
): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const aborted = (): void => {
      timer.cancel()
      reject(new Error('The operation was aborted'))
    }
    const timer = new Timer(milliseconds, () => {
      signal?.removeEventListener('abort', aborted)
      resolve(value)
    })
    if (signal?.aborted === true) aborted()
    else signal?.addEventListener('abort', aborted, { once: true })
  })
}

class Quiet {
  inc(): void {}
  set(): void {}
  observe(): void {}
  remove(): void {}
  debug(): void {}
  info(): void {}
  warn(): void {}
  error(): void {}
  child(): this {
    return this
  }
}

/** What says something to operators says nothing here. */
export const quietLogger = new Quiet()

const pino = Object.assign(() => quietLogger, {
  stdTimeFunctions: {},
  destination: () => undefined,
})

const quietModules: Readonly<Record<string, unknown>> = {
  'prom-client': { Counter: Quiet, Gauge: Quiet, Histogram: Quiet, Registry: Quiet },
  pino,
  'pino-pretty': () => undefined,
  'node:sea': { isSea: () => false },
}

const pureModules = ['node:assert/strict', 'node:crypto', 'node:fs', 'node:url']
const nodeRequire = createRequire(import.meta.url)

function requireFrom(modules: Readonly<Record<string, unknown>>): (name: string) => unknown {
  return (name) => {
    if (name in modules) return modules[name]
    assert(pureModules.includes(name), `The simulation has no module ${name}.`)
    return nodeRequire(name) as unknown
  }
}
