// How many items were acknowledged and persisted, second by second.
// In:  a scene.
// Out: samples in its timeline.
// Absent: checks. What is persisted is what the processes say, each from its own start.

import { setTimeout as delay } from 'node:timers/promises'
import { fateOf } from '../history.ts'
import type { LiveScene } from './scene.ts'
import { metricsOf } from './settle.ts'

const everyMs = 1_000
/** A batch may be acknowledged later than others that were made after it. */
const batchesUnsettledMax = 4_096

export class Sampler {
  readonly #scene: LiveScene
  readonly #over = new AbortController()
  /** Of each process life, what it had persisted when it was asked last. */
  readonly #persisted = new Map<number, number>()
  /** Batches before this are counted, or were given up. */
  #settledTo = 0
  #settledItems = 0
  #before = 0
  #work: Promise<void> = Promise.resolve()

  constructor(scene: LiveScene) {
    this.#scene = scene
  }

  start(): void {
    this.#work = this.#run()
  }

  async stop(): Promise<void> {
    this.#over.abort()
    await this.#work
  }

  /** Items of all batches that were acknowledged, each counted once. */
  acknowledgedItems(): number {
    const { batches } = this.#scene.history
    let items = this.#settledItems
    for (let i = this.#settledTo; i < batches.length; i++) {
      const batch = batches[i]
      const isTaken = fateOf(batch) === 'acknowledged'
      if (isTaken) items += batch.count
      if (i !== this.#settledTo) continue
      if (!isTaken && batches.length - i < batchesUnsettledMax) continue
      this.#settledTo += 1
      if (isTaken) this.#settledItems += batch.count
    }
    return items
  }

  async #run(): Promise<void> {
    const { signal } = this.#over
    while (!signal.aborted) {
      await delay(everyMs, undefined, { signal }).catch(() => undefined)
      const { timeline } = this.#scene
      const persisted = await this.#newlyPersisted()
      const total = this.acknowledgedItems()
      const acknowledged = total - this.#before
      this.#before = total
      timeline.samples.push({ at: timeline.seconds(), acknowledged, persisted })
    }
  }

  async #newlyPersisted(): Promise<number> {
    let sum = 0
    for (const { pid, directUrl, role } of this.#scene.members) {
      if (role === 'ingress') continue
      const metrics = await metricsOf(directUrl)
      const now = metrics?.get('ledger_persisted_transactions_total')
      if (now === undefined) continue
      sum += Math.max(now - (this.#persisted.get(pid) ?? 0), 0)
      this.#persisted.set(pid, now)
    }
    return sum
  }
}
