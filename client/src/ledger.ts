// The ledger as a program sees it: post batches, read accounts and statements.
// In:  where it listens; transactions; identifiers.
// Out: values of the contract, with whole numbers as bigint.
// Absent: batching of single transactions (writer.ts), attempts (transport.ts).

import { Calls, type CallOptions, type Query, type Reply } from './calls.ts'
import { changesOf, type ChangesOptions } from './changes.ts'
import { RefusedError } from './errors.ts'
import type { Account, ChangesBatch, Entry, Transaction } from './gen/contract.ts'
import { assertTransaction, encodeBatch, encodeJson } from './json.ts'
import { Receipt, waiting, type Outcome } from './receipt.ts'
import { Transport, type TransportOptions } from './transport.ts'
import { Writer, type WriterOptions } from './writer.ts'

export interface PostOptions extends CallOptions {
  /** Refuse the batch unless the amounts of every id in it sum to zero. */
  balanced?: boolean
  /** Wait so long, in milliseconds, for the batch to be persisted, and tell what became of it. */
  waitMs?: number
}

export interface Posted {
  /** How many transactions are durable in the log now. */
  accepted: number
  receipt: Receipt
  /** What became of each, in their order, if it was waited for and came in time. */
  outcomes?: readonly Outcome[]
}

/** A transaction that the ledger refused, and why. */
export interface Refused {
  transaction: Transaction
  error: RefusedError
}

type AccountQuery = Query<'GET /v1/accounts/{account_id}'>

export interface AccountOptions extends Omit<AccountQuery, 'receipt' | 'wait'>, CallOptions {
  /** What the batch of this receipt wrote counts, or it is a RefusedError of status 409. */
  receipt?: Receipt | string
  /** How long to wait for that, in milliseconds, at most 30 s. */
  waitMs?: number
}

type StatementQuery = Query<'GET /v1/accounts/{account_id}/transactions'>

/** `limit` is how many entries are asked for at a time. */
export type StatementOptions = Omit<StatementQuery, 'cursor'> & CallOptions

type ConflictQuery = Query<'GET /v1/conflicts'>

export type ConflictOptions = Omit<ConflictQuery, 'cursor'> & CallOptions

export type Conflict = Reply<'GET /v1/conflicts'>['conflicts'][number]

/** Most accounts of one request for balances. */
const balancesMax = 1000

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
  async post(transactions: readonly Transaction[], options: PostOptions = {}): Promise<Posted> {
    const { balanced, waitMs, signal } = options
    for (const transaction of transactions) assertTransaction(transaction)
    const reply = await this.#calls.call('POST /v1/transactions', {
      body: encodeBatch(transactions),
      query: { balanced, ...(waitMs === undefined ? {} : waiting(waitMs).query) },
      ...(waitMs === undefined ? {} : { waitMs }),
      signal,
    })
    return { ...reply, receipt: this.receipt(reply.receipt) }
  }

  /**
   * Posts what the ledger takes of a batch. Whatever it refuses by index is left out, and the rest
   * posted again.
   */
  async postValid(
    transactions: readonly Transaction[],
    options: PostOptions = {},
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

  /** A receipt of an earlier batch, wherever that was posted. */
  receipt(token: string): Receipt {
    return new Receipt(this.#calls, token)
  }

  /** Undefined for an account without entries. */
  account(accountId: string, options: AccountOptions = {}): Promise<Account | undefined> {
    const { signal, receipt, waitMs, ...rest } = options
    const wait = waitMs === undefined ? undefined : waiting(waitMs).query.wait
    return this.#calls.find('GET /v1/accounts/{account_id}', {
      path: { account_id: accountId },
      query: { ...rest, receipt: receipt?.toString(), wait },
      ...(waitMs === undefined ? {} : { waitMs }),
      signal,
    })
  }

  /** Accounts in the order of their ids; undefined for each without entries. */
  async balances(
    accountIds: readonly string[],
    options: CallOptions = {},
  ): Promise<(Account | undefined)[]> {
    const found: (Account | undefined)[] = []
    for (let from = 0; from < accountIds.length; from += balancesMax) {
      const body = encodeJson(accountIds.slice(from, from + balancesMax))
      const reply = await this.#calls.call('POST /v1/balances', { body, ...options })
      for (const account of reply.balances) found.push(account ?? undefined)
    }
    return found
  }

  /** Entries of an account, page by page as they are asked for. None for an unknown account. */
  entries(accountId: string, options: StatementOptions = {}): AsyncGenerator<Entry> {
    const { signal, ...query } = options
    const request = { path: { account_id: accountId }, query, signal }
    const name = 'GET /v1/accounts/{account_id}/transactions'
    return this.#calls.pages(name, request, (page) => page.transactions)
  }

  /** One entry of an account; undefined where there is none. */
  entry(accountId: string, id: string, options: CallOptions = {}): Promise<Entry | undefined> {
    const path = { account_id: accountId, id }
    const name = 'GET /v1/accounts/{account_id}/transactions/{id}'
    return this.#calls.find(name, { path, ...options })
  }

  /** The entries of one id, on whichever accounts they are. */
  transfer(id: string, options: CallOptions = {}): AsyncGenerator<Entry> {
    const request = { path: { id }, ...options }
    return this.#calls.pages('GET /v1/transactions/{id}', request, (page) => page.transactions)
  }

  /** What was acknowledged, but differs from what was there. */
  conflicts(options: ConflictOptions = {}): AsyncGenerator<Conflict> {
    const { signal, ...query } = options
    return this.#calls.pages('GET /v1/conflicts', { query, signal }, (page) => page.conflicts)
  }

  /** Batches of entries as they are committed, for ever; see ChangesOptions for where it begins. */
  changes(options: ChangesOptions = {}): AsyncGenerator<ChangesBatch> {
    return changesOf(this.#calls, options)
  }
}
