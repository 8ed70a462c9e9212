// How far the tables are, for everybody who follows GET /v1/changes: one look for all of them.
// In:  a way to look.
// Out: heads, and a wait for new ones.
// Absent: looking while nobody waits; rows.

import { setTimeout as delay } from 'node:timers/promises'
import type { Head } from '../ledger/changes.ts'

export type Heads = ReadonlyMap<number, Head>

export interface HeadWatchOptions {
  look: () => Promise<Heads>
  /** How long the reads since the last look took, in milliseconds. */
  spent: () => number
}

/** Short enough to be a small part of what a commit takes to be seen anyway. */
const lookIntervalMs = 50

/** Looks and reads take at most a fifth of one connection's time, however slow they are. */
const restPerWork = 4

const failureMs = 1000

export class HeadWatch {
  #heads: Heads = new Map()
  #version = 0
  #isWatching = false
  readonly #options: HeadWatchOptions
  readonly #waiting = new Set<() => void>()

  constructor(options: HeadWatchOptions) {
    this.#options = options
  }

  get heads(): Heads {
    return this.#heads
  }

  /** Changes whenever `heads` does. */
  get version(): number {
    return this.#version
  }

  /** Heads that are no older than this call; rejects when the databases do not answer. */
  async look(): Promise<Heads> {
    const heads = await this.#options.look()
    this.#take(heads)
    return heads
  }

  /** Resolves when `heads` are newer than `version`, after `mostMs`, or when aborted. */
  wait(version: number, mostMs: number, signal: AbortSignal): Promise<void> {
    if (version !== this.#version || signal.aborted) return Promise.resolve()
    return new Promise((resolve) => {
      const done = (): void => {
        this.#waiting.delete(done)
        clearTimeout(timer)
        signal.removeEventListener('abort', done)
        resolve()
      }
      const timer = setTimeout(done, mostMs)
      signal.addEventListener('abort', done, { once: true })
      this.#waiting.add(done)
      void this.#watch()
    })
  }

  async #watch(): Promise<void> {
    if (this.#isWatching) return
    this.#isWatching = true
    while (this.#waiting.size > 0) {
      const started = performance.now()
      const failed = await this.look().then(
        () => false,
        () => true,
      )
      const work = performance.now() - started + this.#options.spent()
      await delay(failed ? failureMs : Math.max(lookIntervalMs, restPerWork * work))
    }
    this.#isWatching = false
  }

  #take(heads: Heads): void {
    const moved = [...heads].some(([partition, { last }]) => {
      return last !== this.#heads.get(partition)?.last
    })
    this.#heads = heads
    if (!moved) return
    this.#version++
    for (const wake of this.#waiting) wake()
  }
}
