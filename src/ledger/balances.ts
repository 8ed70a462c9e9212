// Balances of accounts: one or many, now or as of a time.
// In:  account ids, validated.
// Out: exact sums, each as of one instant.
// Absent: HTTP, the log, keeping roll-ups up to date (rollups.ts), SQL (balance-sql.ts).

import assert from 'node:assert/strict'
import { formatUuid } from '../bytes/uuid.ts'
import { LedgerError } from '../errors.ts'
import type { SelectWith } from '../postgres/pool.ts'
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
import type { ReadDatabase, ReadDatabases } from './read-databases.ts'

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

/** Read once for all who ask meanwhile. */
interface KnownLeaves {
  leaves: Promise<BucketLeaves>
  readAt: number
}

/** That entries of a partition of the log are there: all before an offset. */
export interface Floor {
  partition: number
  nextOffset: number
}

export interface Wish {
  /** Aborted when nobody waits for the answer any more. */
  signal: AbortSignal
  /** Only entries created at or before it; RFC 3339, UTC. */
  at?: string | undefined
}

export class Balances {
  readonly #databases: ReadDatabases
  /** By bucket. */
  readonly #known = new Map<number, KnownLeaves>()

  constructor(databases: ReadDatabases) {
    this.#databases = databases
  }

  /**
   * One account; one that has entries, but none created by the time asked for, has nothing.
   *
   * @param floor what must be there; 'behind' where the database does not have it yet
   */
  of(accountId: Uint8Array, wish: Wish): Promise<Answer>
  of(accountId: Uint8Array, wish: Wish, floor: Floor): Promise<Answer | 'behind'>
  async of(accountId: Uint8Array, wish: Wish, floor?: Floor): Promise<Answer | 'behind'> {
    const { signal, at } = wish
    if (at !== undefined) assert.match(at, /^[0-9T:.-]+Z$/)
    const database = await this.#databases.until(signal).poolOf(accountId)
    const { found, asOf, nextOffset } = await this.#lookUp(database, [accountId], at, floor)
    if (floor !== undefined && nextOffset < floor.nextOffset) return 'behind'
    const answer = found.get(formatUuid(accountId))
    if (answer !== undefined || at === undefined) return answer
    if ((await this.of(accountId, { signal })) === undefined) return undefined
    return { balance: '0', count: '0', first: null, last: null, asOf }
  }

  /** Many accounts, answered in their order: one query a database. */
  async ofMany(accountIds: readonly Uint8Array[], { signal }: Wish): Promise<Answer[]> {
    const databases = this.#databases.until(signal)
    const byDatabase = new Map<number, { database: ReadDatabase; ids: Uint8Array[] }>()
    for (const accountId of accountIds) {
      const database = await databases.poolOf(accountId)
      const known = byDatabase.get(database.databaseIndex)
      if (known === undefined)
        byDatabase.set(database.databaseIndex, { database, ids: [accountId] })
      else known.ids.push(accountId)
    }
    const found = await Promise.all(
      [...byDatabase.values()].map(({ database, ids }) => this.#lookUp(database, ids)),
    )
    const all = new Map(found.flatMap((answers) => [...answers.found]))
    return accountIds.map((accountId) => all.get(formatUuid(accountId)))
  }

  async #lookUp(
    database: ReadDatabase,
    accountIds: readonly Uint8Array[],
    at?: string,
    floor?: Floor,
  ): Promise<Found> {
    for (let attempt = 1; attempt <= attempts; attempt++) {
      const asked = await this.#askedOf(accountIds)
      const moment = at === undefined ? undefined : await momentOf(database, accountIds[0], at)
      const rows = await rowsOf(database, balancesSql(asked, moment, floor?.partition))
      const straddling = (moment?.straddling ?? []).map(({ range }) => range).join(' ')
      const versions = asked.map(({ leaves }) => leaves.version).filter(Boolean)
      const known = rows.at(0)
      if (known?.versions === versions.join(' ') && known.straddling === straddling) {
        return { found: summariesOf(rows), asOf: known.asOf, nextOffset: Number(known.nextOffset) }
      }
      for (const { bucket, leaves } of asked) await this.#forget(bucket, leaves)
    }
    const message = `The leaves changed ${attempts} times while balances were read.`
    throw new LedgerError('DATABASE_UNAVAILABLE', message)
  }

  /** The accounts by bucket, ascending, with the leaves of each. */
  async #askedOf(accountIds: readonly Uint8Array[]): Promise<AskedBucket[]> {
    const byBucket = new Map<number, Map<string, Uint8Array>>()
    for (const accountId of accountIds) {
      const bucket = this.#databases.bucketOf(accountId)
      const accounts = byBucket.get(bucket) ?? new Map<string, Uint8Array>()
      byBucket.set(bucket, accounts.set(formatUuid(accountId), accountId))
    }
    const asked = [...byBucket].map(async ([bucket, accounts]) => {
      const own = [...accounts.values()]
      return { bucket, leaves: await this.#leavesOf(bucket, own[0]), accounts: own }
    })
    return (await Promise.all(asked)).sort((a, b) => a.bucket - b.bucket)
  }

  /** @param accountId any account of the bucket */
  #leavesOf(bucket: number, accountId: Uint8Array): Promise<BucketLeaves> {
    const known = this.#known.get(bucket)
    if (known && performance.now() - known.readAt < leavesAgeMs) return known.leaves
    // Others may wait for it besides, so nobody's going away ends it.
    const leaves = this.#databases
      .poolOf(accountId)
      .then((database) => readLeaves(database, bucket))
    const reading = { leaves, readAt: performance.now() }
    this.#known.set(bucket, reading)
    leaves.catch(() => {
      if (this.#known.get(bucket) === reading) this.#known.delete(bucket)
    })
    return leaves
  }

  /** What has turned out to be old, unless somebody has looked again meanwhile. */
  async #forget(bucket: number, old: BucketLeaves): Promise<void> {
    const known = this.#known.get(bucket)
    if (known && (await known.leaves.catch(() => old)) !== old) return
    if (this.#known.get(bucket) === known) this.#known.delete(bucket)
  }
}

interface Found {
  /** By account id as text; those without entries are left out. */
  found: Map<string, AccountSummary>
  asOf: string
  /** Of the partition asked for; -1 where none was, or nobody has begun it. */
  nextOffset: number
}

/** Nothing where a leaf that was known is gone: it is to be looked again. */
async function rowsOf(database: ReadDatabase, query: SelectWith): Promise<BalanceRow[]> {
  try {
    return await database.read<BalanceRow>(query)
  } catch (error) {
    if (sqlState(error) === '42P01') return []
    throw error
  }
}

async function readLeaves(database: ReadDatabase, bucket: number): Promise<BucketLeaves> {
  type Row = { version: string; leaf: string | null; below: string | null }
  const rows = await database.read<Row>(stretchesSql(bucket))
  const stretches = rows.flatMap(({ leaf, below }): Stretch[] =>
    leaf === null ? [] : [{ leaf, from: below, to: null }],
  )
  return { version: rows[0].version, stretches }
}

async function momentOf(
  database: ReadDatabase,
  accountId: Uint8Array,
  at: string,
): Promise<Moment> {
  type Row = Moment['straddling'][number]
  const straddling = await database.read<Row>(straddlingSql(accountId, at))
  if (straddling.some(({ isArchived }) => isArchived)) {
    const entries = `Account ${formatUuid(accountId)}: some entries of a day were created by ${at}`
    const message = `${entries}, others later, and they are archived.`
    throw new LedgerError('ARCHIVED', `${message} The balance can be had once they are restored.`)
  }
  return { at, straddling }
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
