// The databases of a ledger, as the read API asks them.
// In:  URLs of the servers; accounts.
// Out: whichever database holds an account, or all of them.
// Absent: what is asked (accounts.ts, entries.ts), which server answers (read-servers.ts), writing.

import assert from 'node:assert/strict'
import { formatUuid } from '../bytes/uuid.ts'
import type { Connection, ConnectOptions } from '../postgres/connection.ts'
import { uuidBytes } from '../record/layout.ts'
import { bucketOf, partitionOf } from '../record/partition.ts'
import { databaseOf } from './buckets.ts'
import { ReadServers, type ReadServersOptions, type ServerState } from './read-servers.ts'

/** One database of the ledger: some of its buckets. */
export interface ReadDatabase {
  readonly databaseIndex: number
  /** Rows of one SELECT. Values can only be inlined, so the caller must have validated them. */
  read<Row>(select: string): Promise<Row[]>
  /** A connection apart from those that reads share, for what takes long; the caller's to close. */
  connect(options: ConnectOptions): Promise<Connection>
  /** Rows of each SELECT, all as of one instant. */
  snapshot(selects: readonly string[]): Promise<unknown[][]>
}

export class ReadDatabases {
  readonly #servers: ReadServers
  readonly #signal: AbortSignal | undefined

  /** @param signal aborted when nobody waits for answers any more */
  constructor(servers: ReadServersOptions | ReadServers, signal?: AbortSignal) {
    this.#servers = servers instanceof ReadServers ? servers : new ReadServers(servers)
    this.#signal = signal
  }

  /** The same databases, whose reads are given up when the signal is aborted. */
  until(signal: AbortSignal): ReadDatabases {
    return new ReadDatabases(this.#servers, signal)
  }

  get buckets(): number {
    return this.#servers.buckets
  }

  get states(): ServerState[] {
    return this.#servers.states
  }

  /** Rejects with why a part of the ledger cannot be read, or is not the one to read. */
  async check(): Promise<void> {
    await this.#servers.check()
  }

  async close(): Promise<void> {
    await this.#servers.close()
  }

  /**
   * Rejects with LAYOUT_MISMATCH where the databases do not divide the accounts as we were told: an
   * account looked for in the wrong place would seem to have no entries.
   */
  async poolOf(accountId: Uint8Array): Promise<ReadDatabase> {
    const view = new DataView(accountId.buffer, accountId.byteOffset, accountId.byteLength)
    return this.ofPartition(partitionOf(view, 0))
  }

  /** The database with the rows of a partition of the log. */
  async ofPartition(partition: number): Promise<ReadDatabase> {
    const { buckets } = this.#servers
    const databases = await this.#servers.databases()
    return this.#database(databaseOf(bucketOf(partition, buckets), { buckets, databases }))
  }

  /** The same for whoever has many partitions to ask about. */
  async finder(): Promise<(partition: number) => ReadDatabase> {
    const { buckets } = this.#servers
    const all = await this.all()
    return (partition) =>
      all[databaseOf(bucketOf(partition, buckets), { buckets, databases: all.length })]
  }

  /** All of them, in the order that divides the buckets. */
  async all(): Promise<ReadDatabase[]> {
    const databases = await this.#servers.databases()
    return Array.from({ length: databases }, (_, index) => this.#database(index))
  }

  #database(databaseIndex: number): ReadDatabase {
    const options = { signal: this.#signal }
    const snapshot = (selects: readonly string[]): Promise<unknown[][]> =>
      this.#servers.snapshot(databaseIndex, selects, options)
    const read = async <Row>(select: string): Promise<Row[]> => {
      const [rows] = await snapshot([select])
      return rows as Row[]
    }
    const connect = (one: ConnectOptions): Promise<Connection> =>
      this.#servers.connect(databaseIndex, one)
    return { databaseIndex, read, snapshot, connect }
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

/** The instant as of which a server answers: on a replica, when what it has was committed. */
export const asOf = utc(
  'CASE WHEN pg_is_in_recovery() THEN pg_last_xact_replay_timestamp() ELSE now() END',
)
