// node:worker_threads, as far as the program uses it: a worker in the same process that talks in
// copies.
// In:  workerData, messages.
// Out: a running worker/thread.ts; its messages, its end.
// Absent: parallelism; shared memory is shared as it is.

import { EventEmitter } from 'node:events'
import type { Surroundings } from './environment.ts'
import { here, type Life } from './scheduler.ts'
import { Wire } from './wire.ts'

class ThreadLife implements Life {
  readonly surroundings: Surroundings
  isOver = false
  private readonly process: Life

  constructor(process: Life) {
    this.process = process
    const { side, ...around } = process.surroundings
    this.surroundings = { ...around, life: this, side: { ...side, life: this } }
  }

  get ended(): boolean {
    return this.isOver || this.process.ended
  }

  get pausedUntil(): number {
    return this.process.pausedUntil
  }
}

/** The process that a thread is in. */
export interface ThreadHost {
  life: Life
  /** Runs worker/thread.ts. */
  evaluate: (threadModule: ThreadModule) => void
  onEnd: (life: Life) => void
  /** Threads that faults may choose from. */
  running: Set<SimulatedWorker>
}

/** What a thread has as node:worker_threads. */
export interface ThreadModule {
  parentPort: unknown
  workerData: unknown
}

export class SimulatedWorker extends EventEmitter {
  readonly life: ThreadLife
  private readonly host: ThreadHost
  private readonly port = new EventEmitter()
  private readonly toThread: Wire
  private readonly fromThread: Wire

  constructor(workerData: unknown) {
    super()
    const { scheduler, random, threads: host } = here()
    this.host = host
    this.life = new ThreadLife(host.life)
    this.toThread = new Wire(scheduler, random)
    this.fromThread = new Wire(scheduler, random)
    const parentPort = Object.assign(this.port, {
      postMessage: (message: unknown) => {
        const copy = copyOf(message)
        this.fromThread.send(host.life, () => this.emit('message', copy))
      },
      close: () => this.exit(0),
    })
    host.running.add(this)
    // What is sent before the thread listens waits for it.
    this.toThread.hold(1)
    scheduler.after(0.5, this.life, () => host.evaluate({ parentPort, workerData }))
  }

  postMessage(message: unknown): void {
    const copy = copyOf(message)
    this.toThread.send(this.life, () => this.port.emit('message', copy))
  }

  terminate(): Promise<void> {
    this.exit(1)
    return Promise.resolve()
  }

  /** As when it runs out of memory. */
  die(): void {
    this.fromThread.send(this.host.life, () => this.emit('error', new Error('thread died')))
    this.exit(1)
  }

  private exit(code: number): void {
    if (this.life.isOver) return
    this.life.isOver = true
    this.host.running.delete(this)
    this.host.onEnd(this.life)
    this.fromThread.send(this.host.life, () => this.emit('exit', code))
  }
}

/** What the main thread of a process has as node:worker_threads. */
export function workerModules(): Record<string, unknown> {
  class Worker extends SimulatedWorker {
    constructor(_file: URL, { workerData }: { workerData: unknown }) {
      super(workerData)
    }
  }
  return { 'node:worker_threads': { Worker } }
}

/** Numbers are copied, as they are changed in place; all else in a message is left as it is. */
function copyOf(message: unknown): unknown {
  const copy = { ...(message as Record<string, unknown>) }
  for (const [name, value] of Object.entries(copy)) {
    if (value instanceof Float64Array) copy[name] = value.slice()
  }
  return copy
}
