// What became of a batch, asked with the receipt that its acknowledgement brought.
// In:  a receipt; for outcomes the transactions it was given out for.
// Out: whether all of them are persisted; what became of each.
// Absent: memory: a receipt is a word that any process may ask with.

import type { CallOptions, Calls, Reply } from './calls.ts'
import type { Transaction } from './gen/contract.ts'
import { encodeBatch } from './json.ts'

export type ReceiptStatus = Reply<'GET /v1/receipts/{receipt}'>

/** created, duplicate, conflict (another amount stands), or unknown (gone from the tables). */
export type Outcome = NonNullable<Reply<'POST /v1/receipts/{receipt}/outcomes'>['outcomes']>[number]

export interface WaitOptions extends CallOptions {
  /** How long to wait for everything to be persisted, in milliseconds. */
  waitMs?: number
}

/** Longest wait the ledger grants one request. */
const requestWaitMsMax = 30_000

export class Receipt {
  /** What stands in the acknowledgement; `ledger.receipt(token)` makes a receipt of it again. */
  readonly token: string
  readonly #calls: Calls

  constructor(calls: Calls, token: string) {
    this.#calls = calls
    this.token = token
  }

  /** How far it is, after waiting for `waitMs` at most. By default it does not wait. */
  async status({ waitMs = 0, signal }: WaitOptions = {}): Promise<ReceiptStatus> {
    const ask = (asked: Asked): Promise<ReceiptStatus> =>
      this.#calls.call('GET /v1/receipts/{receipt}', { ...asked, path: this.#path, signal })
    return untilPersisted(waitMs, ask)
  }

  /** Whether every transaction of the batch is in PostgreSQL. Waits for 30 s by default. */
  async persisted({ waitMs = requestWaitMsMax, signal }: WaitOptions = {}): Promise<boolean> {
    return (await this.status({ waitMs, signal })).persisted
  }

  /**
   * What became of each transaction, in their order; undefined while they are not persisted. Waits
   * for 30 s by default.
   *
   * @param transactions the very batch that was posted
   */
  async outcomes(
    transactions: readonly Transaction[],
    { waitMs = requestWaitMsMax, signal }: WaitOptions = {},
  ): Promise<readonly Outcome[] | undefined> {
    const name = 'POST /v1/receipts/{receipt}/outcomes'
    const body = encodeBatch(transactions)
    const ask = (asked: Asked): Promise<Reply<typeof name>> =>
      this.#calls.call(name, { ...asked, path: this.#path, body, signal })
    return (await untilPersisted(waitMs, ask)).outcomes
  }

  toString(): string {
    return this.token
  }

  toJSON(): string {
    return this.token
  }

  get #path(): { receipt: string } {
    return { receipt: this.token }
  }
}

interface Asked {
  query: { wait: string }
  waitMs: number
}

/** `?wait=` of a request that waits that long. */
export function waiting(waitMs: number): Asked {
  const granted = Math.min(Math.max(0, Math.round(waitMs)), requestWaitMsMax)
  return { query: { wait: `${granted}ms` }, waitMs: granted }
}

/** Asks again as long as there is time left. */
async function untilPersisted<Status extends { persisted: boolean }>(
  waitMs: number,
  ask: (asked: Asked) => Promise<Status>,
): Promise<Status> {
  const end = Date.now() + waitMs
  for (;;) {
    const status = await ask(waiting(end - Date.now()))
    if (status.persisted || Date.now() >= end) return status
  }
}
