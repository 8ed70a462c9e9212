// Batches of transactions as clients of a ledger would make them, and some that only a confused
// client would.
// In:  a history to add to, a seeded Random, a shape.
// Out: batches in the history, not sent yet.
// Absent: HTTP, SQL.

import type { History, SentBatch } from './history.ts'
import type { Random } from './random.ts'

export interface LoadShape {
  /** Number of accounts. */
  accounts: number
  /** 1 spreads evenly over the accounts; 4 gives half of everything to one account in sixteen. */
  skew: number
  /** Sizes to choose from; each stands for "from 1 up to this many". */
  batchItems: readonly number[]
  /** Share of items that begin a transfer: the same id on two accounts, with opposite amounts. */
  transferShare: number
  /** Share of items that repeat an earlier transaction exactly. */
  repeatShare: number
  /** Share of items that give an earlier transaction another amount. */
  rivalShare: number
}

/** Each transaction once, never again with another amount. */
export const plainShape: LoadShape = {
  accounts: 2_000,
  skew: 2,
  batchItems: [1, 20, 500, 5000],
  transferShare: 0.2,
  repeatShare: 0,
  rivalShare: 0,
}

/** With exact repeats and conflicting amounts among it, whose first to arrive is left to chance. */
export const confusedShape: LoadShape = {
  ...plainShape,
  batchItems: [1, 20, 500, 2000],
  repeatShare: 0.02,
  rivalShare: 0.02,
}

const edgeAmounts = [
  0n,
  1n,
  -1n,
  2n ** 53n + 1n,
  -(2n ** 53n) - 1n,
  2n ** 63n - 1n,
  -(2n ** 63n),
] as const

export class Generator {
  readonly history: History
  readonly #random: Random
  readonly #shape: LoadShape
  readonly #accounts: Uint8Array
  readonly #id = new Uint8Array(16)

  constructor(history: History, random: Random, shape: LoadShape) {
    this.history = history
    this.#random = random
    this.#shape = shape
    this.#accounts = new Uint8Array(shape.accounts * 16)
    random.fill(this.#accounts)
  }

  /** A batch of at most `itemsMax`, of a size the shape allows. */
  batch(itemsMax = Infinity): SentBatch {
    const most = Math.min(this.#random.pick(this.#shape.batchItems), itemsMax)
    const size = this.#random.between(Math.ceil(most / 2), most)
    const earlier = this.history.count
    const batch = this.history.begin()
    const taken = new Set<string>()
    while (batch.count < size) this.#addItem(batch, size, earlier, taken)
    return batch
  }

  /** The keys of a batch once more, each with another amount. */
  rivals(of: SentBatch): SentBatch {
    const batch = this.history.begin()
    for (let i = of.first; i < of.first + of.count; i++) {
      this.history.add(this.history.idOf(i), this.history.accountOf(i), this.#otherAmount(i))
    }
    return batch
  }

  #addItem(batch: SentBatch, size: number, earlier: number, taken: Set<string>): void {
    const { history } = this
    const dice = this.#random.fraction()
    if (earlier > 0 && dice < this.#shape.repeatShare + this.#shape.rivalShare) {
      const repeats = dice < this.#shape.repeatShare
      const here = repeats && batch.count > 0 && this.#random.chance(0.2)
      const index = here
        ? batch.first + this.#random.below(batch.count)
        : this.#random.below(earlier)
      const id = history.idOf(index)
      const account = history.accountOf(index)
      // One key must not have two amounts within one request: that request would be refused.
      const key = Buffer.from(id).toString('latin1') + Buffer.from(account).toString('latin1')
      if (taken.has(key)) return
      taken.add(key)
      history.add(id, account, repeats ? history.amountOf(index) : this.#otherAmount(index))
      return
    }
    this.#newId()
    const amount = this.#amount()
    const from = this.#account()
    history.add(this.#id, from, amount)
    if (batch.count === size || !this.#random.chance(this.#shape.transferShare)) return
    const to = this.#account()
    // The least int64 has no opposite, and a transfer to oneself would be one key with two amounts.
    if (amount === -(2n ** 63n) || Buffer.compare(from, to) === 0) return
    history.add(this.#id, to, -amount)
  }

  #account(): Uint8Array {
    const { accounts, skew } = this.#shape
    const at = Math.floor(accounts * this.#random.fraction() ** skew) * 16
    return this.#accounts.subarray(at, at + 16)
  }

  #amount(): bigint {
    const dice = this.#random.fraction()
    if (dice < 0.01) return this.#random.pick(edgeAmounts)
    if (dice < 0.02) return this.#random.int64()
    return BigInt(this.#random.between(-1_000_000, 1_000_000))
  }

  #otherAmount(index: number): bigint {
    const amount = this.history.amountOf(index)
    return BigInt.asIntN(64, amount + BigInt(this.#random.between(1, 1_000)))
  }

  /** A UUIDv7 of this instant. */
  #newId(): void {
    this.#random.fill(this.#id)
    Buffer.from(this.#id.buffer).writeUIntBE(Date.now(), 0, 6)
    this.#id[6] = 0x70 | (this.#id[6] & 0x0f)
    this.#id[8] = 0x80 | (this.#id[8] & 0x3f)
  }
}
