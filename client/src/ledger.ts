// The ledger as a program sees it: post batches, read accounts and statements.
// In:  where it listens; transactions; identifiers.
// Out: values of the contract, with whole numbers as bigint.
// Absent: batching of single transactions (writer.ts), attempts (transport.ts).

import { LedgerError, RefusedError } from './errors.ts'
import { operations, type Account, type Entry, type Operations } from './gen/contract.ts'
import type { Transaction } from './gen/contract.ts'
import { assertTransaction, decodeJson, encodeBatch } from './json.ts'
import { Transport, type Call, type TransportOptions } from './transport.ts'
import { Writer, type WriterOptions } from './writer.ts'

export interface CallOptions {
  /** Ends the call, and the attempts it makes. */
  signal?: AbortSignal
}

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

type Query<Id extends keyof Operations> = Operations[Id]['query']

export interface StatementOptions extends CallOptions {
  /** Entries asked for at a time, at most 1000. */
  pageSize?: number
}

export class Ledger {
  readonly #transport: Transport

  constructor(options: TransportOptions) {
    this.#transport = new Transport(options)
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
    return this.#call('postTransactions', { body, ...options })
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
    return orNotFound(this.#call('getAccount', { path: { account_id: accountId }, ...options }))
  }

  /** Entries of an account, page by page as they are asked for. None for an unknown account. */
  async *entries(accountId: string, options: StatementOptions = {}): AsyncGenerator<Entry> {
    const { signal, pageSize: limit, ...query } = options
    let cursor: string | undefined
    do {
      const page = await orNotFound(
        this.#call('getAccountTransactions', {
          path: { account_id: accountId },
          query: { ...query, limit, cursor },
          signal,
        }),
      )
      if (page === undefined) return
      yield* page.transactions
      cursor = page.next_cursor ?? undefined
    } while (cursor !== undefined)
  }

  async #call<Id extends keyof Operations>(
    id: Id,
    options: {
      path?: Operations[Id]['path']
      query?: Query<Id>
      body?: string
      waitMs?: number
      signal?: AbortSignal | undefined
    },
  ): Promise<Operations[Id]['reply']> {
    const { path = {}, query, body, waitMs, signal } = options
    const operation = operations[id]
    const call: Call = {
      method: operation.method,
      path: filled(operation.path, path),
      ...(query === undefined ? {} : { query }),
      ...(body === undefined ? {} : { body }),
      ...(waitMs === undefined ? {} : { waitMs }),
      signal,
    }
    const { status, text } = await this.#transport.send(call)
    return decodeJson(text, operation.shapes[status] ?? null) as Operations[Id]['reply']
  }
}

function filled(path: string, values: Readonly<Record<string, string>>): string {
  return path.replace(/\{(\w+)\}/g, (_, name: string) => {
    const value = values[name]
    if (value === undefined) throw new LedgerError(`${path} needs ${name}.`)
    return encodeURIComponent(value)
  })
}

async function orNotFound<T>(answer: Promise<T>): Promise<T | undefined> {
  try {
    return await answer
  } catch (error) {
    if (error instanceof RefusedError && error.status === 404) return undefined
    throw error
  }
}
