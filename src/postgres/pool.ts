// Connections for reads, shared by all requests and bounded.
// In:  a URL, SQL with its values inlined.
// Out: rows; OVERLOADED at once when too many wait already, DATABASE_UNAVAILABLE when the server
//      does not answer in time.
// Absent: writing; choosing a server (ledger/read-databases.ts). State on a session: each read is
//         one message and one transaction, so that a pooler may stand in between (decision 0022).

import pg from 'pg'
import { LedgerError } from '../errors.ts'
import { queryConnectionsDefault, queryWaitingMax, queryWaitSeconds } from '../limits.ts'
import { requestCancel } from './cancel.ts'
import { describeDatabase } from './connection.ts'
import { Gate, type Refused } from './gate.ts'
import { databaseError } from './retry.ts'

export interface PoolOptions {
  applicationName: string
  /** Told of an idle connection that was cut; the next read makes another. */
  onLost: (error: Error) => void
  connectionsMax?: number
  /** Reads that may wait for a connection. */
  waitingMax?: number
  /** How long a read may wait for its turn, and again for a new connection. */
  waitSeconds?: number
  /** How long PostgreSQL may work on a read. */
  statementSeconds?: number
}

export interface ReadOptions {
  /** Aborted when nobody waits for the rows any more: PostgreSQL is told to stop. */
  signal?: AbortSignal | undefined
  /** How long the answer may take, where that is less than for others. */
  answerSeconds?: number
}

/** A read that ends sooner than this after nobody wants it is not worth a message to stop it. */
const cancelAfterMs = 100

export class ReadPool {
  readonly #pool: pg.Pool
  readonly #config: pg.PoolConfig
  /** The server's address and database, without user or password, for messages. */
  readonly where: string
  readonly #gate: Gate
  readonly #prelude: string
  readonly #answerSeconds: number

  constructor(url: string, options: PoolOptions) {
    const {
      connectionsMax = queryConnectionsDefault,
      waitingMax = queryWaitingMax,
      waitSeconds = queryWaitSeconds,
      statementSeconds = 10,
    } = options
    this.where = describeDatabase(url)
    this.#gate = new Gate({ insideMax: connectionsMax, waitingMax, waitMs: waitSeconds * 1000 })
    // Statements of one message share a transaction, so these settings end with the read.
    this.#prelude = `SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY;
      SET LOCAL statement_timeout = ${statementSeconds * 1000};`
    // A server that is gone without a word must not hold a request for ever.
    this.#answerSeconds = statementSeconds + 5
    this.#config = {
      connectionString: url,
      application_name: options.applicationName,
      max: connectionsMax,
      connectionTimeoutMillis: waitSeconds * 1000,
      idleTimeoutMillis: 60_000,
      keepAlive: true,
    }
    this.#pool = new pg.Pool(this.#config)
    // Without a listener a connection cut while idle would end the process.
    this.#pool.on('error', options.onLost)
  }

  /** Reads under way and waiting. */
  get load(): number {
    return this.#gate.load
  }

  /** Rows of one SELECT. Values can only be inlined, so the caller must have validated them. */
  async read<Row>(select: string, options: ReadOptions = {}): Promise<Row[]> {
    const [rows] = await this.snapshot([select], options)
    return rows as Row[]
  }

  /** Rows of each SELECT, all as of one instant. */
  async snapshot(selects: readonly string[], options: ReadOptions = {}): Promise<unknown[][]> {
    const refused = await this.#gate.enter(options.signal)
    if (refused !== undefined) throw this.#refusal(refused)
    try {
      const text = `${this.#prelude} ${selects.join(';')}`
      const results = (await this.#answer(text, options)) as pg.QueryResult[]
      return results.slice(-selects.length).map(({ rows }) => rows as unknown[])
    } catch (error) {
      throw this.#explain(error)
    } finally {
      this.#gate.leave()
    }
  }

  async close(): Promise<void> {
    await this.#pool.end()
  }

  async #answer(text: string, { signal, answerSeconds }: ReadOptions): Promise<unknown> {
    const client = await this.#pool.connect()
    const seconds = answerSeconds ?? this.#answerSeconds
    const query = { text, query_timeout: seconds * 1000 }
    // A connection that is cut fails the query, and would end the process besides.
    const ignore = (): void => undefined
    client.on('error', ignore)
    const stop = signal && this.#cancelWhen(signal, client)
    let isUsable = false
    try {
      const result = await client.query(query)
      isUsable = stop?.() ?? true
      return result
    } finally {
      stop?.()
      client.off('error', ignore)
      client.release(!isUsable)
    }
  }

  /**
   * Has the server stop when the signal says so. Returns how to end that, which answers whether
   * the session may be used again: a request to stop may still be under way to it.
   */
  #cancelWhen(signal: AbortSignal, client: pg.PoolClient): () => boolean {
    let isAsked = false
    let timer: NodeJS.Timeout | undefined
    const ask = (): void => {
      isAsked = true
      void requestCancel(this.#config, client)
    }
    const abort = (): void => {
      timer = setTimeout(ask, cancelAfterMs)
    }
    if (signal.aborted) abort()
    else signal.addEventListener('abort', abort, { once: true })
    return () => {
      clearTimeout(timer)
      signal.removeEventListener('abort', abort)
      return !isAsked
    }
  }

  #explain(error: unknown): unknown {
    const message = error instanceof Error ? error.message : ''
    if (/^Query read timeout/.test(message)) {
      return new LedgerError('DATABASE_UNAVAILABLE', `${this.where}: no answer in time.`, {
        cause: error,
      })
    }
    return databaseError(error, this.where)
  }

  #refusal(refused: Refused): LedgerError {
    if (refused === 'gone') return new LedgerError('STOPPING', 'Nobody waits for the answer.')
    const found = refused === 'full' ? 'too many wait already' : 'none became free in time'
    const message = `${this.where}: all connections for reads are busy, and ${found}.`
    return new LedgerError('OVERLOADED', message)
  }
}
