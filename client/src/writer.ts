// Collects single transactions into batches: by number, by time, with a bound on what waits.
// In:  transactions, one at a time.
// Out: batches under way; for each transaction, when it is durable or why it is not.
// Absent: HTTP and attempts; ids are made where they are missing, before the first attempt.

/*
 * queued ≤ maxQueued: what waits for a batch and what is under way. add() waits while it is full,
 * so a producer that awaits it runs no faster than the ledger takes.
 */

import { LedgerError } from './errors.ts'
import type { Transaction } from './gen/contract.ts'
import { assertTransaction } from './json.ts'
import type { Posted, Refused } from './ledger.ts'
import { uuidv7 } from './uuid.ts'

export interface WriterOptions {
  /** Most transactions of a batch, at most 5000, the default. */
  maxItems?: number
  /** Longest time a transaction waits for others, in milliseconds. Default: 5. */
  maxWaitMs?: number
  /** Most transactions that wait or are under way. Default: four batches. */
  maxQueued?: number
  /** Most batches under way. Default: 4. */
  maxInFlight?: number
}

/** A transaction that the writer has taken; `id` was made where it had none. */
export interface Added {
  id: string
  /**
   * Resolves once the transaction is durable, with the receipt of its batch; rejects with
   * RefusedError or UnavailableError.
   */
  durable: Promise<Posted>
}

type NewTransaction = Omit<Transaction, 'id'> & { id?: string }

type Post = (
  batch: readonly Transaction[],
) => Promise<{ posted: Posted | undefined; refused: Refused[] }>

interface Item {
  transaction: Transaction
  resolve: (posted: Posted) => void
  reject: (error: unknown) => void
  settled: Promise<void>
}

const itemsMax = 5000

export class Writer {
  readonly #post: Post
  readonly #maxItems: number
  readonly #maxWaitMs: number
  readonly #maxQueued: number
  readonly #maxInFlight: number
  #waiting: Item[] = []
  #queued = 0
  #underWay = new Set<Promise<void>>()
  #timer: ReturnType<typeof setTimeout> | undefined
  #isClosed = false
  /** Whoever waits for room, first come, first served. */
  #forRoom: (() => void)[] = []
  /** The first failure since the last flush. */
  #failure: unknown

  constructor(post: Post, options: WriterOptions) {
    this.#post = post
    this.#maxItems = bounded('maxItems', options.maxItems ?? itemsMax, itemsMax)
    this.#maxInFlight = bounded('maxInFlight', options.maxInFlight ?? 4, 1000)
    this.#maxQueued = bounded('maxQueued', options.maxQueued ?? 4 * this.#maxItems, 10_000_000)
    this.#maxWaitMs = options.maxWaitMs ?? 5
  }

  /**
   * Resolves when there is room for the transaction; until then nothing is known of it.
   *
   * @throws InvalidTransactionError for what no ledger would take
   */
  async add(transaction: NewTransaction): Promise<Added> {
    const whole: Transaction = { ...transaction, id: transaction.id ?? uuidv7() }
    assertTransaction(whole)
    while (this.#queued >= this.#maxQueued && !this.#isClosed) {
      // What waits in a queue that is full waits for nothing else.
      this.#sendAll()
      await new Promise<void>((resolve) => this.#forRoom.push(resolve))
    }
    if (this.#isClosed) throw new LedgerError('The writer is closed.')
    this.#queued += 1
    const { promise: durable, resolve, reject } = deferred()
    // Whoever does not look at it learns of a failure from flush().
    const settled = durable.then(
      () => undefined,
      () => undefined,
    )
    this.#waiting.push({ transaction: whole, resolve, reject, settled })
    if (this.#waiting.length >= this.#maxItems) this.#sendFull()
    else this.#timer ??= setTimeout(() => this.#sendAll(), this.#maxWaitMs)
    return { id: whole.id, durable }
  }

  /**
   * Sends what waits, and resolves once everything added so far is durable.
   *
   * @throws the first failure since the last flush; each is at its own transaction as well
   */
  async flush(): Promise<void> {
    this.#sendAll()
    await Promise.all([...this.#underWay, ...this.#waiting.map(({ settled }) => settled)])
    const failure = this.#failure
    this.#failure = undefined
    // What was rejected is an error of this client, or the reason of an abort.
    if (failure !== undefined) throw failure as Error
  }

  /** Takes nothing more, and flushes. */
  async close(): Promise<void> {
    this.#isClosed = true
    this.#releaseRoom()
    await this.flush()
  }

  #sendFull(): void {
    while (this.#waiting.length >= this.#maxItems && this.#underWay.size < this.#maxInFlight) {
      this.#send(this.#waiting.splice(0, this.#maxItems))
    }
  }

  #sendAll(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    while (this.#waiting.length > 0 && this.#underWay.size < this.#maxInFlight) {
      this.#send(this.#waiting.splice(0, this.#maxItems))
    }
  }

  #send(items: readonly Item[]): void {
    const sending = this.#deliver(items).finally(() => {
      this.#underWay.delete(sending)
      this.#queued -= items.length
      this.#releaseRoom()
      this.#sendFull()
      if (this.#waiting.length > 0) this.#timer ??= setTimeout(() => this.#sendAll(), 0)
    })
    this.#underWay.add(sending)
  }

  async #deliver(items: readonly Item[]): Promise<void> {
    try {
      const { posted, refused } = await this.#post(items.map(({ transaction }) => transaction))
      const faults = new Map(refused.map(({ transaction, error }) => [transaction, error]))
      for (const { transaction, resolve, reject } of items) {
        const error = faults.get(transaction)
        if (error === undefined && posted !== undefined) resolve(posted)
        else reject(error)
      }
      this.#failure ??= refused[0]?.error
    } catch (error) {
      for (const { reject } of items) reject(error)
      this.#failure ??= error
    }
  }

  #releaseRoom(): void {
    for (const release of this.#forRoom.splice(0)) release()
  }
}

function deferred(): Omit<Item, 'transaction' | 'settled'> & { promise: Promise<Posted> } {
  let resolve: Item['resolve'] = () => undefined
  let reject: Item['reject'] = () => undefined
  const promise = new Promise<Posted>((onTaken, onFailed) => {
    resolve = onTaken
    reject = onFailed
  })
  return { promise, resolve, reject }
}

function bounded(name: string, value: number, most: number): number {
  if (Number.isInteger(value) && value >= 1 && value <= most) return value
  throw new RangeError(`${name}: expected a whole number from 1 to ${most}, found ${value}.`)
}
