// How long it takes until everybody is served again, and everything acknowledged is persisted.
// In:  a scene that has just been healed.
// Out: milliseconds until acknowledged and until persisted.
// Absent: limits (run.ts).

import { setTimeout as delay } from 'node:timers/promises'
import { partitionCount } from '../../record/layout.ts'
import { partitionOf } from '../../record/partition.ts'
import { Client } from '../client.ts'
import type { SentBatch } from '../history.ts'
import { Random } from '../random.ts'
import { uuidText } from '../uuid-text.ts'
import type { LiveScene } from './scene.ts'
import type { Tables } from './tables.ts'

export interface Measured {
  acknowledgedMs: number
  persistedMs: number
  /** Before this, nothing of the probe was sent. */
  sentAt: number
}

/**
 * A request that hangs must not hide that another would be answered; nor may many of them hold up
 * those that would be.
 */
const attemptMsFirst = 200
const attemptMsMost = 1_600
const lookMs = 15

/** A probe is one transfer over an account of each partition, so that none is left out. */
export class Probe {
  readonly #scene: LiveScene
  readonly #tables: Tables
  readonly #accounts: readonly Uint8Array[]
  readonly #random: Random

  constructor(scene: LiveScene, tables: Tables, seed: number) {
    this.#scene = scene
    this.#tables = tables
    this.#random = new Random(seed)
    this.#accounts = oneAccountOfEachPartition(this.#random)
  }

  /** Rejects when it has waited for `giveUpMs`. */
  async measure(healedAt: number, giveUpMs: number): Promise<Measured> {
    const batch = this.#batch()
    const sentAt = Date.now()
    const giveUp = AbortSignal.timeout(giveUpMs)
    await Promise.all(this.#scene.targets().map((target) => this.#send(batch, target, giveUp)))
    const acknowledgedMs = Date.now() - healedAt
    await this.#persisted(batch, healedAt + giveUpMs)
    return { acknowledgedMs, persistedMs: Date.now() - healedAt, sentAt }
  }

  #batch(): SentBatch {
    const { history } = this.#scene
    const id = new Uint8Array(16)
    this.#random.fill(id)
    Buffer.from(id.buffer).writeUIntBE(Date.now(), 0, 6)
    id[6] = 0x70 | (id[6] & 0x0f)
    id[8] = 0x80 | (id[8] & 0x3f)
    const batch = history.begin()
    for (const account of this.#accounts) history.add(id, account, 1n)
    return batch
  }

  /** Sends again and again without waiting for the request before, until one is acknowledged. */
  async #send(batch: SentBatch, target: string, giveUp: AbortSignal): Promise<void> {
    const { history } = this.#scene
    const clients: Client[] = []
    const done = new AbortController()
    const isOver = (): boolean => done.signal.aborted || giveUp.aborted
    const attempt = async (): Promise<void> => {
      const client = new Client({ name: 'probe', history, targets: () => [target] })
      clients.push(client)
      if ((await client.send(batch)) === 'acknowledged') done.abort()
    }
    for (let waitMs = attemptMsFirst; !isOver(); waitMs = Math.min(waitMs * 2, attemptMsMost)) {
      void attempt()
      await delay(waitMs, undefined, { signal: done.signal }).catch(() => undefined)
    }
    for (const client of clients) client.close()
    if (!done.signal.aborted) throw new Error(`${target} acknowledged nothing.`)
  }

  async #persisted(batch: SentBatch, deadline: number): Promise<void> {
    const id = uuidText(this.#scene.history.idOf(batch.first))
    const accounts = this.#accounts.map(uuidText)
    for (;;) {
      const [found] = await this.#tables.ask<{ count: number }>(
        `SELECT count(*)::int AS count FROM ledger.transactions
          WHERE id = $1 AND account_id = ANY ($2::uuid[])`,
        [id, accounts],
        Math.max(deadline - Date.now(), 0),
      )
      const count = found?.count ?? 0
      if (count === partitionCount) return
      if (Date.now() > deadline) {
        throw new Error(
          `Of ${partitionCount} partitions, ${count} persisted what was acknowledged.`,
        )
      }
      await delay(lookMs)
    }
  }
}

function oneAccountOfEachPartition(random: Random): readonly Uint8Array[] {
  const found = new Map<number, Uint8Array>()
  while (found.size < partitionCount) {
    const account = new Uint8Array(16)
    random.fill(account)
    const partition = partitionOf(new DataView(account.buffer), 0)
    if (!found.has(partition)) found.set(partition, account)
  }
  return [...found.values()]
}
