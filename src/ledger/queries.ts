// What can be asked of the ledger's tables about an account.
// In:  account and entry ids, validated.
// Out: balances and entries; amounts and sums as exact decimal text.
// Absent: HTTP, cursors as clients see them (query/), the log.

import assert from 'node:assert/strict'
import { formatUuid } from '../bytes/uuid.ts'
import { uuidBytes } from '../record/layout.ts'
import type { Logger } from '../observe/logger.ts'
import { ReadPool } from '../postgres/pool.ts'
import { bucketOf, partitionOf } from '../record/partition.ts'
import { databaseOf, expectLayout, layoutSql, type Layout } from './buckets.ts'

/** All that an account's entries add up to, as of one instant. */
export interface AccountSummary {
  /** Exact; may exceed an int64. */
  balance: string
  /** Entries. */
  count: string
  /** RFC 3339, UTC, when PostgreSQL looked. */
  asOf: string
}

export interface AccountEntry {
  /** Lower-case UUID. */
  id: string
  amount: string
  /** RFC 3339, UTC, when the entry was accepted into the log. */
  createdAt: string
}

export interface LedgerReaderOptions {
  /** In the order that divides the buckets. */
  databaseUrls: readonly string[]
  buckets: number
  logger: Pick<Logger, 'warn'>
}

/** Reads from whichever database holds an account. */
export class LedgerReader {
  readonly #pools: readonly ReadPool[]
  readonly #buckets: number
  /** Databases that were seen to be what they are taken for. */
  readonly #known = new Set<number>()

  constructor({ databaseUrls, buckets, logger }: LedgerReaderOptions) {
    const onLost = ({ message }: Error) =>
      logger.warn({ reason: message }, 'a connection for reads was lost')
    const options = { applicationName: 'ledger query', onLost }
    this.#pools = databaseUrls.map((url) => new ReadPool(url, options))
    this.#buckets = buckets
  }

  /** Rejects with why a database does not answer, or is not the one to ask. */
  async check(): Promise<void> {
    await Promise.all(this.#pools.map((_, databaseIndex) => this.#expectLayoutOf(databaseIndex)))
  }

  /** `undefined` when the account has no entry. */
  async summary(accountId: Uint8Array): Promise<AccountSummary | undefined> {
    const pool = await this.#poolOf(accountId)
    const rows = await pool.read<AccountSummary>(`
      SELECT sum(amount)::text AS balance, count(*)::text AS count, ${utc('now()')} AS "asOf"
      FROM ledger.transactions WHERE account_id = ${literal(accountId)}`)
    return rows.find(({ count }) => count !== '0')
  }

  /** Up to `limit` entries by descending id, those below `before` where it is given. */
  async entries(
    accountId: Uint8Array,
    limit: number,
    before?: Uint8Array,
  ): Promise<AccountEntry[]> {
    assert(Number.isSafeInteger(limit) && limit > 0)
    const below = before === undefined ? '' : `AND id < ${literal(before)}`
    const pool = await this.#poolOf(accountId)
    return pool.read<AccountEntry>(`
      SELECT id, amount::text, ${utc('created_at')} AS "createdAt"
      FROM ledger.transactions WHERE account_id = ${literal(accountId)} ${below}
      ORDER BY id DESC LIMIT ${limit}`)
  }

  async close(): Promise<void> {
    await Promise.all(this.#pools.map((pool) => pool.close()))
  }

  /**
   * Rejects with LAYOUT_MISMATCH where the databases do not divide the accounts as we were told: an
   * account looked for in the wrong place would seem to have no entries.
   */
  async #poolOf(accountId: Uint8Array): Promise<ReadPool> {
    const view = new DataView(accountId.buffer, accountId.byteOffset, accountId.byteLength)
    const bucket = bucketOf(partitionOf(view, 0), this.#buckets)
    const databases = this.#pools.length
    const databaseIndex = databaseOf(bucket, { buckets: this.#buckets, databases })
    if (!this.#known.has(databaseIndex)) await this.#expectLayoutOf(databaseIndex)
    return this.#pools[databaseIndex]
  }

  async #expectLayoutOf(databaseIndex: number): Promise<void> {
    const pool = this.#pools[databaseIndex]
    const [found] = await pool.read<Layout>(layoutSql)
    const databases = this.#pools.length
    expectLayout(pool.where, { buckets: this.#buckets, databases, databaseIndex }, found)
    this.#known.add(databaseIndex)
  }
}

/** Made from bytes, so there is nothing to escape. */
function literal(id: Uint8Array): string {
  assert.equal(id.length, uuidBytes)
  return `'${formatUuid(id)}'::uuid`
}

function utc(expression: string): string {
  return `to_char(${expression} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')`
}
