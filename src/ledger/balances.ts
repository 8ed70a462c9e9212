// Balances of accounts: one or many, now or as of a time.
// In:  account ids, validated.
// Out: exact sums, each as of one instant.
// Absent: HTTP, the log, keeping roll-ups up to date (rollups.ts), SQL (balance-sql.ts).

import assert from 'node:assert/strict'
import { formatUuid } from '../bytes/uuid.ts'
import { LedgerError } from '../errors.ts'
import type { ReadPool } from '../postgres/pool.ts'
import { sqlState } from '../postgres/retry.ts'
import {
  balancesSql,
  straddlingSql,
  stretchesSql,
  type AskedBucket,
  type BalanceRow,
  type BucketLeaves,
  type Moment,
  type Stretch,
} from './balance-sql.ts'
import type { ReadDatabases } from './read-databases.ts'

/** One end of an account's entries, by id. */
export interface EndEntry {
  id: string
  /** RFC 3339, UTC. */
  createdAt: string
}

/** All that an account's entries add up to, as of one instant. */
export interface AccountSummary {
  /** Exact; may exceed an int64. */
  balance: string
  /** Entries. */
  count: string
  /** Null when there is none of them, as of a time before the first. */
  first: EndEntry | null
  last: EndEntry | null
  /** RFC 3339, UTC, when PostgreSQL looked. */
  asOf: string
}

/** `undefined` stands for an account without entries. */
export type Answer = AccountSummary | undefined

/** Leaves change every few seconds in a busy bucket, a lookup takes milliseconds. */
const attempts = 8
/**
 * Whoever changes the leaves raises their version, but for an operator who detaches some, or a
 * worker of an earlier build.
 */
const leavesAgeMs = 10_000

/** What is known of a database. */
interface Database {
  pool: ReadPool
  leaves: Map<number, BucketLeaves & { readAt: number }>
}

export class Balances {
  readonly #databases: ReadDatabases
  readonly #byPool = new Map<ReadPool, Database>()

  constructor(databases: ReadDatabases) {
    this.#databases = databases
  }

  async of(accountId: Uint8Array): Promise<Answer> {
    const database = await this.#databaseOf(accountId)
    const { found } = await this.#lookUp(database, [accountId])
    return found.get(formatUuid(accountId))
  }

  /** Many accounts, answered in their order: one query a database. */
  async ofMany(accountIds: readonly Uint8Array[]): Promise<Answer[]> {
    const byDatabase = new Map<Database, Uint8Array[]>()
    for (const accountId of accountIds) {
      const database = await this.#databaseOf(accountId)
      const own = byDatabase.get(database)
      if (own === undefined) byDatabase.set(database, [accountId])
      else own.push(accountId)
    }
    const found = await Promise.all([...byDatabase].map(([one, ids]) => this.#lookUp(one, ids)))
    const all = new Map(found.flatMap((answers) => [...answers.found]))
    return accountIds.map((accountId) => all.get(formatUuid(accountId)))
  }

  /**
   * One account, of its entries created at or before a moment, though there be none of them.
   *
   * @param at RFC 3339, UTC
   */
  async at(accountId: Uint8Array, at: string): Promise<Answer> {
    assert.match(at, /^[0-9T:.-]+Z$/)
    const database = await this.#databaseOf(accountId)
    const { found, asOf } = await this.#lookUp(database, [accountId], at)
    const answer = found.get(formatUuid(accountId))
    if (answer !== undefined) return answer
    if ((await this.of(accountId)) === undefined) return undefined
    return { balance: '0', count: '0', first: null, last: null, asOf }
  }

  /** By account id as text; those without entries are left out. */
  async #lookUp(
    database: Database,
    accountIds: readonly Uint8Array[],
    at?: string,
  ): Promise<{ found: Map<string, AccountSummary>; asOf: string }> {
    const { pool } = database
    for (let attempt = 1; attempt <= attempts; attempt++) {
      const asked = await this.#askedOf(database, accountIds)
      const moment = at === undefined ? undefined : await momentOf(pool, accountIds[0], at)
      const query = balancesSql(asked, moment)
      // The same again and again for one account; of other questions, each is another.
      const isUsual = accountIds.length === 1 && moment === undefined
      const rows = await pool
        .readWith<BalanceRow>(query.text, query.values, isUsual)
        .catch((error: unknown) => {
          // A leaf that was known is gone: it is to be looked again.
          if (sqlState(error) === '42P01') return []
          throw error
        })
      const straddling = (moment?.straddling ?? []).map(({ range }) => range).join(' ')
      const versions = asked.map(({ leaves }) => leaves.version).filter(Boolean)
      const known = rows.at(0)
      if (known?.versions === versions.join(' ') && known.straddling === straddling) {
        return { found: summariesOf(rows), asOf: known.asOf }
      }
      for (const { bucket } of asked) database.leaves.delete(bucket)
    }
    const message = `${pool.where}: the leaves changed ${attempts} times while balances were read.`
    throw new LedgerError('DATABASE_UNAVAILABLE', message)
  }

  /** The accounts by bucket, ascending, with the leaves of each. */
  async #askedOf(
    { pool, leaves }: Database,
    accountIds: readonly Uint8Array[],
  ): Promise<AskedBucket[]> {
    const byBucket = new Map<number, Map<string, Uint8Array>>()
    for (const accountId of accountIds) {
      const bucket = this.#databases.bucketOf(accountId)
      const accounts = byBucket.get(bucket) ?? new Map<string, Uint8Array>()
      byBucket.set(bucket, accounts.set(formatUuid(accountId), accountId))
    }
    const asked = [...byBucket].map(async ([bucket, accounts]) => {
      let known = leaves.get(bucket)
      if (known === undefined || performance.now() - known.readAt > leavesAgeMs) {
        known = { ...(await readLeaves(pool, bucket)), readAt: performance.now() }
        leaves.set(bucket, known)
      }
      return { bucket, leaves: known, accounts: [...accounts.values()] }
    })
    return (await Promise.all(asked)).sort((a, b) => a.bucket - b.bucket)
  }

  async #databaseOf(accountId: Uint8Array): Promise<Database> {
    const pool = await this.#databases.poolOf(accountId)
    const known = this.#byPool.get(pool)
    if (known !== undefined) return known
    const database = { pool, leaves: new Map() }
    this.#byPool.set(pool, database)
    return database
  }
}

async function readLeaves(pool: ReadPool, bucket: number): Promise<BucketLeaves> {
  type Row = { version: string; leaf: string | null; below: string | null }
  const rows = await pool.read<Row>(stretchesSql(bucket))
  const stretches = rows.flatMap(({ leaf, below }): Stretch[] =>
    leaf === null ? [] : [{ leaf, from: below, to: null }],
  )
  return { version: rows[0].version, stretches }
}

async function momentOf(pool: ReadPool, accountId: Uint8Array, at: string): Promise<Moment> {
  type Row = Moment['straddling'][number]
  const { text, values } = straddlingSql(accountId, at)
  return { at, straddling: await pool.readWith<Row>(text, values, true) }
}

function summariesOf(rows: readonly BalanceRow[]): Map<string, AccountSummary> {
  const summaries = new Map<string, AccountSummary>()
  for (const { accountId, balance, count, first, last, asOf } of rows) {
    if (accountId === null) continue
    const ends = { first: endOf(first), last: endOf(last) }
    summaries.set(accountId, { balance, count, asOf, ...ends })
  }
  return summaries
}

function endOf(text: string): EndEntry {
  return { id: text.slice(0, 36), createdAt: text.slice(37) }
}
