// One session with PostgreSQL, with its errors made into ours.
// In:  a URL, SQL.
// Out: rows as pg reads them; LedgerErrors that say what to do.
// Absent: state kept on the session beyond a transaction (no SET, no prepared statements, no
//         session locks), so that a pooler in transaction mode may stand in between.

import pg from 'pg'
import { LedgerError, messageOf } from '../errors.ts'
import { databaseError } from './retry.ts'
import { schemaOf } from './schema-name.ts'

export interface ConnectOptions {
  /** Shown in pg_stat_activity. */
  applicationName: string
  /** Cuts the connection when aborted, at any time. */
  signal?: AbortSignal
  /** How long to wait for the server to greet. */
  connectSeconds?: number
  /** How long to wait for the answer to one statement before the connection counts as lost. */
  answerSeconds?: number
  /** Told once, when the connection can no longer be used. */
  onLost?: () => void
}

/** The result of one statement. */
export interface StatementResult {
  /** The command tag's word, such as `UPDATE`; what COMMIT did is `COMMIT` or `ROLLBACK`. */
  command: string
  /** Rows affected or returned. */
  count: number
  rows: Record<string, unknown>[]
}

/** Connects, or rejects with DATABASE_UNAVAILABLE, DATABASE_REFUSED or CONFIG_INVALID. */
export async function connect(given: string, options: ConnectOptions): Promise<Connection> {
  const { url, translate } = schemaOf(given)
  const where = describeDatabase(url)
  const client = new pg.Client({
    connectionString: url,
    application_name: options.applicationName,
    keepAlive: true,
    keepAliveInitialDelayMillis: 10_000,
    connectionTimeoutMillis: (options.connectSeconds ?? 10) * 1000,
  })
  const connection = new Connection(client, where, { ...options, translate })
  try {
    options.signal?.throwIfAborted()
    await client.connect()
    return connection
  } catch (error) {
    connection.destroy()
    if (options.signal?.aborted) throw new LedgerError('STOPPING', 'Stopped while connecting.')
    throw databaseError(error, where)
  }
}

type Translate = (<T>(value: T) => T) | undefined

export class Connection {
  /** For COPY, which works on pg's own protocol level. */
  readonly client: pg.Client
  /** The server's address and database, without user or password, for messages. */
  readonly where: string
  #lost: LedgerError | undefined
  readonly #answerMilliseconds: number
  readonly #translate: Translate
  readonly #release: () => void
  readonly #onLost: (() => void) | undefined

  /** Use `connect`. */
  constructor(
    client: pg.Client,
    where: string,
    options: ConnectOptions & { translate: Translate },
  ) {
    const { signal, answerSeconds = 120, onLost, translate } = options
    this.client = client
    this.where = where
    this.#translate = translate
    this.#onLost = onLost
    this.#answerMilliseconds = answerSeconds * 1000
    // Without a listener a connection lost between statements would end the process.
    client.on('error', (error) => this.#lose(error))
    client.once('end', () => this.#lose(new Error('Connection terminated')))
    const abort = () => this.destroy()
    signal?.addEventListener('abort', abort, { once: true })
    this.#release = () => signal?.removeEventListener('abort', abort)
  }

  /** Why this connection can no longer be used; `undefined` while it can. */
  get lost(): LedgerError | undefined {
    return this.#lost
  }

  /** Runs one statement and returns its rows. */
  async query<Row>(text: string, values?: readonly unknown[]): Promise<Row[]> {
    return (await this.execute(text, values)).rows as Row[]
  }

  /** Runs one statement and returns its first row, if there is one. */
  async queryOne<Row>(text: string, values?: readonly unknown[]): Promise<Row | undefined> {
    return (await this.query<Row>(text, values)).at(0)
  }

  /** Runs one statement. */
  async execute(text: string, values?: readonly unknown[]): Promise<StatementResult> {
    const result = await this.answer(() =>
      values === undefined
        ? this.client.query(this.inSchema(text))
        : this.client.query(this.inSchema(text), this.inSchema([...values])),
    )
    return statementResult(result)
  }

  /**
   * Sends several statements at once and returns the result of each: one round trip. They share a
   * transaction unless they begin and end their own. Values can only be inlined, so the caller must
   * have validated them.
   */
  async script(text: string): Promise<StatementResult[]> {
    const results: unknown = await this.answer(() => this.client.query(this.inSchema(text)))
    return (Array.isArray(results) ? results : [results]).map(statementResult)
  }

  /** SQL, or values, as this connection's ledger is to be spoken to (schema-name.ts). */
  inSchema<T>(sql: T): T {
    return this.#translate === undefined ? sql : this.#translate(sql)
  }

  /** Runs something on the client with our deadline and our errors. */
  async answer<Result>(ask: () => Promise<Result>): Promise<Result> {
    if (this.#lost !== undefined) throw this.#lost
    const timer = setTimeout(() => {
      this.#lose(new Error(`no answer within ${this.#answerMilliseconds / 1000} s`))
      this.destroy()
    }, this.#answerMilliseconds)
    try {
      return await ask()
    } catch (error) {
      throw this.lost ?? databaseError(error, this.where)
    } finally {
      clearTimeout(timer)
    }
  }

  /** Says goodbye. What was in flight is answered first. */
  async close(): Promise<void> {
    this.#release()
    const timer = setTimeout(() => this.destroy(), 2_000)
    await this.client.end().catch(() => {})
    clearTimeout(timer)
  }

  /** Cuts the connection at once; the server rolls back what was not committed. */
  destroy(): void {
    this.#release()
    this.#lose(new Error('Connection terminated by us'))
    const { connection } = this.client as unknown as { connection: { stream: { destroy(): void } } }
    connection.stream.destroy()
  }

  #lose(error: Error): void {
    if (this.#lost !== undefined) return
    const mapped = databaseError(error, this.where)
    this.#lost =
      mapped instanceof LedgerError
        ? mapped
        : new LedgerError('DATABASE_UNAVAILABLE', `${this.where}: ${messageOf(error)}`, {
            cause: error,
          })
    this.#onLost?.()
  }
}

function statementResult(result: unknown): StatementResult {
  const { command, rowCount, rows } = result as pg.QueryResult<Record<string, unknown>>
  return { command, count: rowCount ?? 0, rows }
}

/**
 * Checks a `--database-url` and returns it for messages: server and database, without user and
 * password.
 */
export function describeDatabase(url: string): string {
  const expected = 'expected postgresql://USER:PASSWORD@HOST:PORT/DATABASE'
  let parsed: URL
  try {
    // A URL with a user but no host means the local socket to PostgreSQL, and nothing to URL.
    parsed = new URL(url.replace('@/', '@localhost/'))
  } catch {
    // The cause would quote the URL, and with it the password.
    throw new LedgerError('CONFIG_INVALID', `--database-url: ${expected}, found no URL.`)
  }
  if (parsed.protocol !== 'postgresql:' && parsed.protocol !== 'postgres:') {
    throw new LedgerError('CONFIG_INVALID', `--database-url: ${expected}, found ${parsed.protocol}`)
  }
  const host = parsed.searchParams.get('host') ?? (parsed.hostname || 'localhost')
  return `PostgreSQL ${host}:${parsed.port || 5432}${parsed.pathname}`
}
