// What must hold at any instant, looked at after every recovery.
// In:  a scene, when the last probe was sent; it is persisted by now, in every partition.
// Out: breaches, as sentences with all that is known.
// Absent: whole tables (settle.ts).

import { fateOf, firstAcknowledgedAt, describeBatch } from '../history.ts'
import { Random } from '../random.ts'
import { uuidText } from '../uuid-text.ts'
import type { LiveScene } from './scene.ts'
import type { Tables } from './tables.ts'

const batchesLookedAt = 12
const contentsOfBatch = 12

interface Looked {
  n: number
  amount: string | null
  refused: boolean
}

export class Watch {
  readonly #scene: LiveScene
  readonly #tables: Tables
  readonly #random: Random
  #lookedTo = 0

  constructor(scene: LiveScene, tables: Tables, seed: number) {
    this.#scene = scene
    this.#tables = tables
    this.#random = new Random(seed)
  }

  async look(probeSentAt: number): Promise<string[]> {
    return [...this.#deaths(), ...(await this.#prefix(probeSentAt)), ...(await this.#quarantine())]
  }

  #deaths(): string[] {
    return this.#scene.members
      .filter((member) => member.isMeantToRun && !member.isUp)
      .map(({ name, program }) => `${name} ended by itself: ${program.story()}`)
  }

  /**
   * Each partition is applied in order: what was acknowledged before the probe was sent lies before
   * it in the log, and so must be in the tables. Some of it is looked for.
   */
  async #prefix(probeSentAt: number): Promise<string[]> {
    const { history } = this.#scene
    const recent = history.batches.length - this.#lookedTo
    const contents: number[] = []
    for (let i = 0; i < Math.min(batchesLookedAt, recent); i++) {
      const batch = history.batches[this.#lookedTo + this.#random.below(recent)]
      if (fateOf(batch) !== 'acknowledged' || firstAcknowledgedAt(batch) >= probeSentAt) continue
      for (let k = 0; k < Math.min(contentsOfBatch, batch.count); k++) {
        contents.push(batch.first + this.#random.below(batch.count))
      }
    }
    this.#lookedTo = history.batches.length
    return this.#looked(contents)
  }

  async #looked(contents: readonly number[]): Promise<string[]> {
    const { history } = this.#scene
    if (contents.length === 0) return []
    const rows = await this.#tables.ask<Looked>(
      `SELECT w.n::int, t.amount,
              EXISTS (SELECT FROM ledger.conflicts c WHERE (c.account_id, c.id, c.amount)
                        = (w.account_id, w.id, w.amount)) AS refused
         FROM unnest($1::uuid[], $2::uuid[], $3::int8[])
              WITH ORDINALITY AS w (account_id, id, amount, n)
         LEFT JOIN ledger.transactions t ON (t.account_id, t.id) = (w.account_id, w.id)`,
      [
        contents.map((content) => uuidText(history.accountOf(content))),
        contents.map((content) => uuidText(history.idOf(content))),
        contents.map((content) => String(history.amountOf(content))),
      ],
    )
    const seen = new Set<number>()
    const breaches: string[] = []
    for (const { n, amount, refused } of rows) {
      const content = contents[n - 1]
      const story = (): string => this.#story(content, amount, refused)
      if (seen.has(n)) breaches.push(`double: ${story()}`)
      seen.add(n)
      if (amount === null) breaches.push(`lost: ${story()}`)
      else if ((amount !== String(history.amountOf(content))) !== refused) {
        breaches.push(`neither one row nor one conflict: ${story()}`)
      }
    }
    return breaches
  }

  #story(content: number, amount: string | null, refused: boolean): string {
    const { history } = this.#scene
    return (
      `account ${uuidText(history.accountOf(content))} id ${uuidText(history.idOf(content))} ` +
      `amount ${history.amountOf(content)}, acknowledged before the probe; ` +
      `the row has ${amount}, ` +
      `a conflict is ${refused ? '' : 'not '}recorded; ${describeBatch(history.batchOf(content))}`
    )
  }

  /** Nothing comes to quarantine that was not put into the log for it. */
  async #quarantine(): Promise<string[]> {
    const rows = await this.#tables.ask<{ partition: number; offset: number; reason: string }>(
      'SELECT partition::int, log_offset::float8 AS offset, reason FROM ledger.quarantine',
    )
    return rows
      .filter(
        ({ partition, offset }) => !this.#scene.injected.records.has(`${partition}/${offset}`),
      )
      .map(
        ({ partition, offset, reason }) =>
          `nobody put a bad record at partition ${partition} offset ${offset}: ${reason}`,
      )
  }
}
