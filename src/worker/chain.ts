// Has a thread keep the chains of the databases close behind what is committed.
// In:  the databases.
// Out: a thread, started again when it dies; how far the chains are behind.
// Absent: what a chain is (ledger/chain/).

import { once } from 'node:events'
import { setTimeout as delay } from 'node:timers/promises'
import type { Worker } from 'node:worker_threads'
import { startThread } from '../artifact/threads.ts'
import { messageOf } from '../errors.ts'
import type { LogFormat, Logger } from '../observe/logger.ts'
import { metrics } from '../observe/metrics.ts'

export interface ChainThreadOptions {
  databaseUrls: readonly string[]
  intervalMs: number
  logLevel: string
  logFormat: LogFormat
}

const restartMs = 5000
const graceMs = 1000

export class Chain {
  readonly #options: ChainThreadOptions
  readonly #logger: Logger
  #thread: Worker
  #restart: NodeJS.Timeout | undefined
  #since: number | undefined
  readonly #meter: NodeJS.Timeout

  constructor(options: ChainThreadOptions, logger: Logger) {
    this.#options = options
    this.#logger = logger
    this.#thread = this.#start()
    this.#meter = setInterval(() => {
      if (this.#since !== undefined) metrics.chainLag.set((Date.now() - this.#since) / 1000)
    }, 1000).unref()
  }

  /** Links what is committed, as far as the time allows, and ends. */
  async finish(milliseconds: number): Promise<void> {
    clearInterval(this.#meter)
    clearTimeout(this.#restart)
    if (this.#restart !== undefined) return
    const thread = this.#thread
    const ended = once(thread, 'exit')
    thread.postMessage(milliseconds)
    // A window that is under way is completed first, or PostgreSQL rolls it back.
    await Promise.race([ended, delay(milliseconds + graceMs, undefined, { ref: false })])
    await thread.terminate()
  }

  #start(): Worker {
    this.#restart = undefined
    const thread = startThread('worker/chain-thread', { workerData: this.#options })
    thread.on('message', (since: number) => (this.#since = since))
    thread.on('error', (error) => {
      const stack = error instanceof Error ? error.stack : messageOf(error)
      this.#logger.error({ stack }, 'chain thread died, starting another one')
      this.#restart = setTimeout(() => (this.#thread = this.#start()), restartMs)
    })
    return thread
  }
}
