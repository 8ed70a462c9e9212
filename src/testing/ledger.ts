// A migrated ledger on a test server, and the plain questions tests ask of it.
// In:  a test server.
// Out: connections, flushes, rows as text.
// Absent: the log and the worker.

import assert from 'node:assert/strict'
import { claim } from '../ledger/checkpoint.ts'
import type { Layout } from '../ledger/buckets.ts'
import type { Checkpoint, CheckpointStep, Flush } from '../ledger/flush.ts'
import { ensureLeaves } from '../ledger/leaves.ts'
import { migrate } from '../ledger/migrate.ts'
import { connect, type Connection } from '../postgres/connection.ts'
import type { TestPostgres } from './postgres.ts'
import { bucketRows, partitionOfAccount, type Entry } from './rows.ts'

export const testLayout: Layout = { buckets: 4, databases: 1, databaseIndex: 0 }
export const testLog = 'test log'

let created = 0

/** A new database with the ledger's tables and the leaves around now; resolves with its URL. */
export async function createTestLedger(
  server: TestPostgres,
  layout: Layout = testLayout,
): Promise<string> {
  const url = await server.createDatabase(`ledger_${process.pid}_${++created}`)
  await withConnection(url, async (connection) => {
    await migrate(connection, layout)
    assert.deepEqual(await ensureLeaves(connection, console), [])
  })
  return url
}

export function openConnection(url: string): Promise<Connection> {
  return connect(url, { applicationName: 'test' })
}

export async function withConnection<Result>(
  url: string,
  use: (connection: Connection) => Promise<Result>,
): Promise<Result> {
  const connection = await openConnection(url)
  try {
    return await use(connection)
  } finally {
    await connection.close()
  }
}

/** First column of a query's rows. */
export async function column(url: string, sql: string): Promise<unknown[]> {
  const rows = await withConnection(url, (connection) =>
    connection.query<Record<string, unknown>>(sql),
  )
  return rows.map((row) => Object.values(row)[0])
}

/** Every row of the ledger as `account id amount milliseconds`, in order. */
export async function ledgerRows(url: string): Promise<unknown[]> {
  return column(
    url,
    `SELECT concat_ws(' ', account_id, id, amount, round(extract(epoch FROM created_at) * 1000))
     FROM ledger.transactions ORDER BY account_id, id`,
  )
}

export function rowText({ accountId, id, amount, createdAt }: Entry): string {
  return `${accountId} ${id} ${amount} ${createdAt}`
}

export function claimAll(
  connection: Connection,
  partitions: readonly number[],
  owner = 'test',
): Promise<Checkpoint[]> {
  return claim(connection, { partitions, owner, logIdentity: testLog })
}

/** A flush of these entries that moves each of their partitions by one record. */
export function flushOf(
  entries: readonly Entry[],
  checkpoints: readonly Checkpoint[],
  mayRepeat = false,
): Flush {
  const touched = new Set(entries.map(({ accountId }) => partitionOfAccount(accountId)))
  const steps = checkpoints
    .filter(({ partition }) => touched.has(partition))
    .map(({ partition, nextOffset, epoch }): CheckpointStep => ({
      partition,
      from: nextOffset,
      to: nextOffset + 1,
      epoch,
    }))
  assert.equal(steps.length, touched.size, 'a checkpoint for each partition')
  return { steps, buckets: bucketRows(entries, testLayout.buckets, mayRepeat), quarantined: [] }
}
