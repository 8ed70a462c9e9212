// One server that the read API may ask: what part of the ledger it has, and whether it is any good
// now.
// In:  a URL; how the reads it was given went.
// Out: rows; its layout, how far it is behind, why it is away.
// Absent: choosing between servers (read-databases.ts).

import { messageOf, reactionTo } from '../errors.ts'
import { connect, type Connection, type ConnectOptions } from '../postgres/connection.ts'
import { ReadPool, type PoolOptions, type ReadOptions } from '../postgres/pool.ts'
import { sqlState } from '../postgres/retry.ts'
import type { Layout } from './buckets.ts'

/**
 * - `fresh`: has all that the ledger has, up to the lag that is allowed.
 * - `cut-off`: a standby that has lost its primary: it has all that it will ever have.
 * - `late`: a standby that is further behind than is allowed, and catching up.
 * - `away`: does not answer.
 */
export type Standing = 'fresh' | 'cut-off' | 'late' | 'away'

export interface ServerOptions extends PoolOptions {
  lagSecondsMax: number
  /** Throws where the server is no part of the ledger that is read, or not the one expected. */
  expect: (where: string, found: Layout) => void
}

/** A server that is looked at answers within this time, or counts as away. */
const lookSeconds = 4
const retryLeastMs = 1000
const retryMostMs = 15_000

/*
 * A standby that has replayed all that it was sent is behind by nothing, however long ago that was;
 * but only while somebody sends. Roles without pg_monitor see no more of the receiver than that
 * there is one.
 */
const lookSql = `
  SELECT buckets, databases, database_index AS "databaseIndex",
    pg_is_in_recovery() AS "isStandby",
    coalesce(pg_last_wal_receive_lsn() <= pg_last_wal_replay_lsn(), false) AS "isThrough",
    EXISTS (
      SELECT FROM pg_stat_wal_receiver WHERE coalesce(status, 'streaming') = 'streaming'
    ) AS "isFollowing",
    extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp())::float8 AS age
  FROM ledger.layout`

interface Look extends Layout {
  isStandby: boolean
  isThrough: boolean
  isFollowing: boolean
  /** Seconds since the newest transaction it has was committed; null when it knows of none. */
  age: number | null
}

export class ReadServer {
  readonly where: string
  readonly #url: string
  readonly #pool: ReadPool
  readonly #options: ServerOptions
  #layout: Layout | undefined
  #standing: Standing = 'away'
  #reason: string | undefined
  #lagSeconds = 0
  #failures = 0
  #lookAgainAt = 0

  constructor(url: string, options: ServerOptions) {
    this.#url = url
    this.#pool = new ReadPool(url, options)
    this.where = this.#pool.where
    this.#options = options
  }

  /** Undefined until it has answered once. */
  get layout(): Layout | undefined {
    return this.#layout
  }

  get standing(): Standing {
    return this.#standing
  }

  get lagSeconds(): number {
    return this.#lagSeconds
  }

  /** Reads under way and waiting. */
  get load(): number {
    return this.#pool.load
  }

  /** Why it is not fresh, as a sentence; undefined when it is. */
  get reason(): string | undefined {
    const behind = `${Math.round(this.#lagSeconds)} s behind`
    switch (this.#standing) {
      case 'fresh':
        return undefined
      case 'cut-off':
        return `${this.where}: a replica cut off from its primary, ${behind}.`
      case 'late':
        return `${this.where}: a replica ${behind}, ${this.#options.lagSecondsMax} s are allowed.`
      case 'away':
        return this.#reason ?? `${this.where}: has not answered yet.`
    }
  }

  /** Looks at it again; rejects with why it cannot be asked. */
  async look(): Promise<void> {
    const [rows] = await this.#ask([lookSql], { answerSeconds: lookSeconds })
    const [found] = rows as Look[]
    const { isStandby, isThrough, isFollowing, age, ...layout } = found
    try {
      this.#options.expect(this.where, layout)
    } catch (error) {
      this.#layout = undefined
      this.#fail(error)
      throw error
    }
    this.#layout = layout
    this.#lagSeconds = !isStandby || (isThrough && isFollowing) ? 0 : Math.max(0, age ?? Infinity)
    if (this.#lagSeconds <= this.#options.lagSecondsMax) this.#standing = 'fresh'
    else this.#standing = isThrough && !isFollowing ? 'cut-off' : 'late'
  }

  /** Whether look() is due: a server that keeps failing is asked less and less often. */
  get isDue(): boolean {
    return performance.now() >= this.#lookAgainAt
  }

  /** Rows of each SELECT; only after the server was seen to be what it is taken for. */
  async snapshot(selects: readonly string[], options: ReadOptions): Promise<unknown[][]> {
    if (this.#layout === undefined) await this.look()
    const rows = await this.#ask(selects, options)
    // An answer is as good as a look; how far behind it is, the next look will say.
    if (this.#standing === 'away') this.#lookAgainAt = 0
    return rows
  }

  /** A connection that is not of the pool, after the server was seen to be what it is taken for. */
  async connect(options: ConnectOptions): Promise<Connection> {
    if (this.#layout === undefined) await this.look()
    return connect(this.#url, options)
  }

  async close(): Promise<void> {
    await this.#pool.close()
  }

  async #ask(selects: readonly string[], options: ReadOptions): Promise<unknown[][]> {
    try {
      const rows = await this.#pool.snapshot(selects, options)
      this.#failures = 0
      return rows
    } catch (error) {
      if (isServerAway(error)) this.#fail(error)
      throw error
    }
  }

  #fail(error: unknown): void {
    const wait = Math.min(retryMostMs, retryLeastMs * 2 ** Math.min(this.#failures++, 10))
    this.#standing = 'away'
    this.#reason = messageOf(error)
    this.#lookAgainAt = performance.now() + wait * (0.5 + Math.random() / 2)
  }
}

/** Whether another server may answer what this one did not. */
export function mayAnswerElsewhere(error: unknown): boolean {
  const { code, cause } = (error ?? {}) as { code?: string; cause?: unknown }
  // A statement that took too long would take as long elsewhere; and where a server is busy, the
  // others are busier.
  return code === 'DATABASE_UNAVAILABLE' && sqlState(cause) !== '57014'
}

/** Not where it was busy, nor where a standby gave up one read for the sake of its replay. */
function isServerAway(error: unknown): boolean {
  if (reactionTo(error) === 'exit') return true
  const { code, cause } = (error ?? {}) as { code?: string; cause?: unknown }
  const state = sqlState(cause)
  return code === 'DATABASE_UNAVAILABLE' && state !== '57014' && !state.startsWith('40')
}
