// The ledger as a program sees it: post batches, read accounts and statements.
// In:  where it listens; transactions; identifiers.
// Out: values of the contract, with whole numbers as bigint.
// Absent: batching of single transactions (writer.ts), attempts (transport.ts).

import { Calls, type CallOptions, type Query } from './calls.ts'
import { RefusedError } from './errors.ts'
import type { Account, Entry, Transaction } from './gen/contract.ts'
import { assertTransaction, encodeBatch } from './json.ts'
import { Transport, type TransportOptions } from './transport.ts'
import { Writer, type WriterOptions } from './writer.ts'

export interface Posted {
  /** How many transactions are durable in the log now. */
  accepted: number
  receipt: string
}

/** A transaction that the ledger refused, and why. */
export interface Refused {
  transaction: Transaction
  error: RefusedError
}

type StatementQuery = Query<'GET /v1/accounts/{account_id}/transactions'>

/** `limit` is how many entries are asked for at a time. */
export type StatementOptions = Omit<StatementQuery, 'cursor'> & CallOptions

export class Ledger {
  readonly #calls: Calls

  constructor(options: TransportOptions) {
    this.#calls = new Calls(new Transport(options))
  }

  /**
   * Posts 1 to 5000 transactions, which the ledger takes whole or refuses whole, and resolves once
   * all of them are durable. Attempts send the same ids, so however many it takes, each transaction
   * is persisted once.
   *
   * @throws InvalidTransactionError before anything is sent
   * @throws RefusedError with the index of the transaction at fault in its problem
   * @throws UnavailableError after which each may or may not have been taken
   */
  async post(transactions: readonly Transaction[], options: CallOptions = {}): Promise<Posted> {
    for (const transaction of transactions) assertTransaction(transaction)
    const body = encodeBatch(transactions)
    return this.#calls.call('POST /v1/transactions', { body, ...options })
  }

  /**
   * Posts what the ledger takes of a batch. Whatever it refuses by index is left out, and the rest
   * posted again.
   */
  async postValid(
    transactions: readonly Transaction[],
    options: CallOptions = {},
  ): Promise<{ posted: Posted | undefined; refused: Refused[] }> {
    const rest = [...transactions]
    const refused: Refused[] = []
    while (rest.length > 0) {
      try {
        return { posted: await this.post(rest, options), refused }
      } catch (error) {
        const index = error instanceof RefusedError ? error.problem?.index : undefined
        if (index === undefined || rest[index] === undefined) throw error
        refused.push({ transaction: rest[index], error: error as RefusedError })
        rest.splice(index, 1)
      }
    }
    return { posted: undefined, refused }
  }

  /** Collects single transactions and posts them in batches. */
  writer(options: WriterOptions = {}): Writer {
    return new Writer((batch) => this.postValid(batch), options)
  }

  /** Undefined for an account without entries. */
  account(accountId: string, options: CallOptions = {}): Promise<Account | undefined> {
    const path = { account_id: accountId }
    return this.#calls.find('GET /v1/accounts/{account_id}', { path, ...options })
  }

  /** Entries of an account, page by page as they are asked for. None for an unknown account. */
  entries(accountId: string, options: StatementOptions = {}): AsyncGenerator<Entry> {
    const { signal, ...query } = options
    const request = { path: { account_id: accountId }, query, signal }
    const name = 'GET /v1/accounts/{account_id}/transactions'
    return this.#calls.pages(name, request, (page) => page.transactions)
  }
}
