// The databases of a ledger, as the read API asks them.
// In:  URLs, in the order that divides the buckets.
// Out: the pool of connections to whichever database holds an account.
// Absent: what is asked (accounts.ts, entries.ts), writing.

import assert from 'node:assert/strict'
import { formatUuid } from '../bytes/uuid.ts'
import type { Logger } from '../observe/logger.ts'
import { ReadPool } from '../postgres/pool.ts'
import { uuidBytes } from '../record/layout.ts'
import { bucketOf, partitionOf } from '../record/partition.ts'
import { databaseOf, expectLayout, layoutSql, type Layout } from './buckets.ts'

export interface ReadDatabasesOptions {
  /** In the order that divides the buckets. */
  databaseUrls: readonly string[]
  buckets: number
  logger: Pick<Logger, 'warn'>
}

export class ReadDatabases {
  readonly #pools: readonly ReadPool[]
  readonly #buckets: number
  /** Databases that were seen to be what they are taken for. */
  readonly #known = new Set<number>()

  constructor({ databaseUrls, buckets, logger }: ReadDatabasesOptions) {
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

  async close(): Promise<void> {
    await Promise.all(this.#pools.map((pool) => pool.close()))
  }

  /**
   * Rejects with LAYOUT_MISMATCH where the databases do not divide the accounts as we were told: an
   * account looked for in the wrong place would seem to have no entries.
   */
  async poolOf(accountId: Uint8Array): Promise<ReadPool> {
    const bucket = this.bucketOf(accountId)
    const databases = this.#pools.length
    const databaseIndex = databaseOf(bucket, { buckets: this.#buckets, databases })
    if (!this.#known.has(databaseIndex)) await this.#expectLayoutOf(databaseIndex)
    return this.#pools[databaseIndex]
  }

  bucketOf(accountId: Uint8Array): number {
    const view = new DataView(accountId.buffer, accountId.byteOffset, accountId.byteLength)
    return bucketOf(partitionOf(view, 0), this.#buckets)
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
export function uuidLiteral(id: Uint8Array): string {
  assert.equal(id.length, uuidBytes)
  return `'${formatUuid(id)}'::uuid`
}

/** A timestamptz as RFC 3339 text, UTC. */
export function utc(expression: string): string {
  return `to_char(${expression} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')`
}
