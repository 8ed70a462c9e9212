// The contract, key by key: which rows and conflicts there must, may and must not be.
// In:  the history, then every row and conflict of the tables.
// Out: findings.
// Absent: SQL (checker-tables.ts).

import { ContentIndex } from './checker-index.ts'
import type { EntryVisitor, Visitors } from './checker-tables.ts'
import type { Findings } from './checker.ts'
import {
  describeBatch,
  fateOf,
  firstAcknowledgedAt,
  firstSentAt,
  type Fate,
  type History,
} from './history.ts'
import { uuidText } from './uuid-text.ts'

/**
 * How far the row's clock may seem to run before or after the client's, both being one machine's.
 */
const clockSlackMs = 100

/** One amount of a key, over all batches that brought it. */
interface Variant {
  content: number
  amount: bigint
  fate: Fate
  sentAt: number
  acknowledgedAt: number
  rows: number
  conflicts: number
}

export class KeyRules implements Visitors {
  rows = 0
  conflicts = 0
  readonly #history: History
  readonly #findings: Findings
  readonly #ignoreTimes: boolean
  readonly #index: ContentIndex
  readonly #rowsOf: Uint8Array
  readonly #conflictsOf: Uint8Array

  constructor(history: History, findings: Findings, ignoreTimes: boolean) {
    this.#history = history
    this.#ignoreTimes = ignoreTimes
    this.#findings = findings
    this.#index = new ContentIndex(history)
    this.#rowsOf = new Uint8Array(history.count)
    this.#conflictsOf = new Uint8Array(history.count)
  }

  readonly row: EntryVisitor = (bytes, accountAt, idAt, amount, createdAtMs) => {
    this.rows += 1
    const first = this.#index.find(bytes, accountAt, idAt)
    const content = this.#index.withAmount(first, amount)
    if (content < 0) {
      const key = keyText(bytes, accountAt, idAt)
      this.#findings.add(first < 0 ? 'invented' : 'wrong amount', () =>
        first < 0
          ? `nobody sent the row ${key} amount ${amount}`
          : `nobody sent the row ${key} with amount ${amount}; ${this.#story(first)}`,
      )
      return
    }
    this.#rowsOf[content] = Math.min((this.#rowsOf[content] ?? 0) + 1, 255)
    if (!this.#ignoreTimes && !this.#wasUnderWay(content, amount, createdAtMs)) {
      this.#findings.add(
        'wrong time',
        () => `the row is of ${new Date(createdAtMs).toISOString()}; ${this.#story(first)}`,
      )
    }
  }

  readonly conflict: EntryVisitor = (bytes, accountAt, idAt, amount) => {
    this.conflicts += 1
    const first = this.#index.find(bytes, accountAt, idAt)
    const content = this.#index.withAmount(first, amount)
    if (content >= 0) {
      this.#conflictsOf[content] = Math.min((this.#conflictsOf[content] ?? 0) + 1, 255)
      return
    }
    this.#findings.add('conflict invented', () => {
      const story = first < 0 ? '' : `; ${this.#story(first)}`
      return `nobody sent ${keyText(bytes, accountAt, idAt)} with amount ${amount}${story}`
    })
  }

  /** To be called when all rows and conflicts have been shown. */
  conclude(): void {
    for (const batch of this.#history.batches) {
      const fate = fateOf(batch)
      for (let i = batch.first; i < batch.first + batch.count; i++) {
        // Nearly every key has one content, one row and no conflict: nothing to weigh.
        const plain = this.#rowsOf[i] === 1 && this.#conflictsOf[i] === 0 && this.#index.next(i) < 0
        if (this.#index.isFirst(i) && !(plain && fate !== 'never')) this.#judge(i)
      }
    }
  }

  #judge(first: number): void {
    const variants = this.#variants(first)
    const winners = variants.filter((variant) => variant.rows > 0)
    const rows = winners.reduce((sum, variant) => sum + variant.rows, 0)
    const winner = winners.at(0)
    if (rows > 1) {
      this.#findings.add('double', () => `expected one row, found ${rows}; ${this.#story(first)}`)
    }
    if (winner === undefined) {
      if (variants.some((variant) => variant.fate === 'acknowledged')) {
        this.#findings.add('lost', () => `expected one row, found none; ${this.#story(first)}`)
      }
    } else if (winner.fate === 'never') {
      this.#findings.add('invented', () => `the row was never taken; ${this.#story(first)}`)
    }
    for (const variant of variants) this.#judgeVariant(first, variant, winner)
  }

  #judgeVariant(first: number, variant: Variant, winner: Variant | undefined): void {
    const { amount, conflicts, fate } = variant
    const story = (): string => `of amount ${amount}; ${this.#story(first)}`
    if (conflicts > 1) {
      this.#findings.add('conflict double', () => `expected one, found ${conflicts} ${story()}`)
    }
    if (variant === winner || winner === undefined) {
      if (conflicts > 0) this.#findings.add('conflict superfluous', () => `found one ${story()}`)
      return
    }
    if (conflicts > 0 && fate === 'never') {
      this.#findings.add('conflict invented', () => `it was never taken, ${story()}`)
    }
    if (fate !== 'acknowledged') return
    if (conflicts === 0) {
      this.#findings.add('conflict missing', () => `expected one, found none ${story()}`)
    }
    // What is acknowledged stands in the log before anything that was sent later.
    if (variant.acknowledgedAt < winner.sentAt) {
      this.#findings.add(
        'wrong winner',
        () => `${amount} was acknowledged before ${winner.amount} was sent; ${this.#story(first)}`,
      )
    }
  }

  #variants(first: number): Variant[] {
    const variants: Variant[] = []
    for (let content = first; content >= 0; content = this.#index.next(content)) {
      const amount = this.#history.amountOf(content)
      const batch = this.#history.batchOf(content)
      const fate = fateOf(batch)
      const sentAt = firstSentAt(batch)
      const acknowledgedAt = firstAcknowledgedAt(batch)
      const known = variants.find((variant) => variant.amount === amount)
      if (known !== undefined) {
        known.fate = betterFate(known.fate, fate)
        known.sentAt = Math.min(known.sentAt, sentAt)
        known.acknowledgedAt = Math.min(known.acknowledgedAt, acknowledgedAt)
        continue
      }
      const rows = this.#rowsOf[content] ?? 0
      const conflicts = this.#conflictsOf[content] ?? 0
      variants.push({ content, amount, fate, sentAt, acknowledgedAt, rows, conflicts })
    }
    return variants
  }

  /** Whether some request with this amount was under way then, or may still have been. */
  #wasUnderWay(first: number, amount: bigint, timeMs: number): boolean {
    for (let content = first; content >= 0; content = this.#index.next(content)) {
      if (this.#history.amountOf(content) !== amount) continue
      for (const { answer, sentAt, answeredAt } of this.#history.batchOf(content).attempts) {
        const end = answer === 'unanswered' ? Infinity : answeredAt + clockSlackMs
        if (timeMs >= sentAt - clockSlackMs && timeMs <= end) return true
      }
    }
    return false
  }

  /** All that is known of a key. */
  #story(first: number): string {
    const parts = [keyText(this.#history.accounts, first * 16, first * 16, this.#history.ids)]
    for (const variant of this.#variants(first)) {
      parts.push(`${variant.amount}: ${variant.rows} rows, ${variant.conflicts} conflicts`)
    }
    for (let content = first; content >= 0; content = this.#index.next(content)) {
      const batch = this.#history.batchOf(content)
      const number = this.#history.batches.indexOf(batch)
      const amount = this.#history.amountOf(content)
      parts.push(`${amount} in batch ${number} of ${batch.count}: ${describeBatch(batch)}`)
    }
    return parts.join(' | ')
  }
}

function betterFate(a: Fate, b: Fate): Fate {
  if (a === 'acknowledged' || b === 'acknowledged') return 'acknowledged'
  return a === 'possible' || b === 'possible' ? 'possible' : 'never'
}

function keyText(accounts: Uint8Array, accountAt: number, idAt: number, ids = accounts): string {
  const account = uuidText(accounts.subarray(accountAt, accountAt + 16))
  return `account ${account} id ${uuidText(ids.subarray(idAt, idAt + 16))}`
}
