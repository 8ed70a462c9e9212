// Connections for reads, shared by all requests and bounded.
// In:  a URL, SQL with its values inlined.
// Out: rows; DATABASE_UNAVAILABLE at once when too many wait already.
// Absent: writing. State on a session but prepared statements: each read is one transaction.

import { createHash } from 'node:crypto'
import pg from 'pg'
import { LedgerError } from '../errors.ts'
import { describeDatabase } from './connection.ts'
import { databaseError, sqlState } from './retry.ts'

export interface PoolOptions {
  applicationName: string
  /** Told of an idle connection that was cut; the next read makes another. */
  onLost: (error: Error) => void
  connectionsMax?: number
  /** Reads that may wait for a connection. */
  waitingMax?: number
  /** How long a read may wait for a connection, a new one included. */
  waitSeconds?: number
  /** How long PostgreSQL may work on a read. */
  statementSeconds?: number
}

export class ReadPool {
  readonly #pool: pg.Pool
  /** The server's address and database, without user or password, for messages. */
  readonly where: string
  readonly #waitingMax: number
  readonly #prelude: string
  #prepares = true

  constructor(url: string, options: PoolOptions) {
    const { connectionsMax = 8, waitingMax = 256, waitSeconds = 3, statementSeconds = 10 } = options
    this.where = describeDatabase(url)
    this.#waitingMax = waitingMax
    // Statements of one message share a transaction, so these settings end with the read.
    this.#prelude = `SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY;
      SET LOCAL statement_timeout = ${statementSeconds * 1000};`
    this.#pool = new pg.Pool({
      connectionString: url,
      application_name: options.applicationName,
      max: connectionsMax,
      connectionTimeoutMillis: waitSeconds * 1000,
      idleTimeoutMillis: 60_000,
      // A session keeps the plan of every statement that was prepared in it.
      maxLifetimeSeconds: 300,
      keepAlive: true,
      // A server that is gone without a word must not hold a request for ever.
      query_timeout: (statementSeconds + 5) * 1000,
    })
    // Without a listener a connection cut while idle would end the process.
    this.#pool.on('error', options.onLost)
  }

  /** Rows of one SELECT. Values can only be inlined, so the caller must have validated them. */
  async read<Row>(select: string): Promise<Row[]> {
    if (this.#pool.waitingCount >= this.#waitingMax) throw this.#saturated()
    try {
      const results: unknown = await this.#pool.query(`${this.#prelude} ${select}`)
      return ((results as pg.QueryResult[]).at(-1)?.rows ?? []) as Row[]
    } catch (error) {
      throw this.#explain(error)
    }
  }

  /**
   * Rows of one SELECT with its values apart. PostgreSQL plans it once a session where it
   * `isUsual`: for a SELECT that touches many tables that is most of its time.
   */
  async readWith<Row>(text: string, values: unknown[], isUsual: boolean): Promise<Row[]> {
    if (this.#pool.waitingCount >= this.#waitingMax) throw this.#saturated()
    try {
      if (isUsual && this.#prepares) {
        try {
          return (await this.#pool.query({ name: nameOf(text), text, values })).rows as Row[]
        } catch (error) {
          // A pooler has lent us another session than the one that knew the statement.
          if (!['26000', '42P05'].includes(sqlState(error))) throw error
          this.#prepares = false
        }
      }
      return (await this.#pool.query({ text, values })).rows as Row[]
    } catch (error) {
      throw this.#explain(error)
    }
  }

  async close(): Promise<void> {
    await this.#pool.end()
  }

  #explain(error: unknown): unknown {
    const message = error instanceof Error ? error.message : ''
    if (/^timeout exceeded when trying to connect/.test(message)) return this.#saturated(error)
    if (/^Query read timeout/.test(message)) {
      return new LedgerError('DATABASE_UNAVAILABLE', `${this.where}: no answer in time.`, {
        cause: error,
      })
    }
    return databaseError(error, this.where)
  }

  #saturated(cause?: unknown): LedgerError {
    const message = `${this.where}: all connections for reads are busy, or none can be made.`
    return new LedgerError('DATABASE_UNAVAILABLE', message, { cause })
  }
}

function nameOf(text: string): string {
  return createHash('sha1').update(text).digest('base64url')
}
