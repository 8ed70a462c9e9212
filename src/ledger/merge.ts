// The slow way into a bucket, for rows whose keys may be there already.
// In:  a bucket's rows, within an open transaction.
// Out: new rows in the ledger, differing ones in ledger.conflicts, those of archived days in
//      ledger.held_entries, and how many of each.
// Absent: the transaction itself (commit.ts).

import assert from 'node:assert/strict'
import type { Connection } from '../postgres/connection.ts'
import { copyIn } from '../postgres/copy.ts'
import { sqlState } from '../postgres/retry.ts'
import { crashPoint } from '../testing/crash.ts'
import { bucketTable } from './buckets.ts'
import type { CopyRows } from './flush.ts'

export interface MergeCounts {
  inserted: number
  duplicates: number
  conflicts: number
  /** Of days that are archived: whether they repeat anything cannot be told. */
  held: number
}

/**
 * COPY puts the rows into a temporary table in the order of the flush, so ctid is the order of the
 * log among equal keys, and the first of them wins. Then INSERT … ON CONFLICT DO NOTHING takes what
 * is new, and what stands in the ledger with another amount becomes a conflict: once for each
 * amount, however often it is replayed.
 *
 * Every leaf that the rows may belong to must have its key: it finds the repetitions.
 *
 * The temporary table has no statistics, and PostgreSQL would gladly hash or sort the whole bucket
 * to join with it: only looking keys up is left to it.
 */
export async function mergeRows(
  connection: Connection,
  bucket: number,
  { rows, copy }: CopyRows,
): Promise<MergeCounts> {
  const table = bucketTable(bucket)
  const copied = await copyIn(
    connection,
    `SET LOCAL enable_hashjoin = off;
     SET LOCAL enable_mergejoin = off;
     CREATE TEMPORARY TABLE incoming
       (account_id uuid, id uuid, amount bigint, created_at timestamptz);
     COPY pg_temp.incoming FROM STDIN (FORMAT binary)`,
    [copy],
  )
  assert.equal(copied, rows, `rows copied for ${table}`)
  crashPoint('during-merge')
  return mergeIncoming(connection, bucket, rows)
}

/** The same for rows that are in `pg_temp.incoming` already, which is gone afterwards. */
export async function mergeIncoming(
  connection: Connection,
  bucket: number,
  rows: number,
): Promise<MergeCounts> {
  const table = bucketTable(bucket)
  let held = 0
  let inserted = await insertNew(connection, table)
  if (inserted === 'archived') {
    await connection.execute('ROLLBACK TO merging')
    held = await holdArchived(connection, bucket)
    inserted = await insertNew(connection, table)
  }
  assert(inserted !== 'archived', `${table}: nothing is left of archived days`)
  const conflicts = inserted + held === rows ? 0 : await recordConflicts(connection, table)
  await connection.execute('DROP TABLE pg_temp.incoming')
  return { inserted, duplicates: rows - inserted - conflicts - held, conflicts, held }
}

/** How many; or that some belong to a closed day, and the savepoint is to be gone back to. */
async function insertNew(connection: Connection, table: string): Promise<number | 'archived'> {
  try {
    const results = await connection.script(`
      SAVEPOINT merging;
      INSERT INTO ${table} (account_id, id, amount, created_at)
      SELECT DISTINCT ON (account_id, id) account_id, id, amount, created_at
      FROM pg_temp.incoming ORDER BY account_id, id, ctid
      ON CONFLICT DO NOTHING`)
    return results[1].count
  } catch (error) {
    const { constraint } = error as { constraint?: string }
    if (sqlState(error) !== '23505' || constraint !== 'archived') throw error
    return 'archived'
  }
}

/** Takes the rows of closed days out of what is merged, and keeps each content once. */
async function holdArchived(connection: Connection, bucket: number): Promise<number> {
  const found = await connection.queryOne<{ count: string }>(`
    WITH late AS MATERIALIZED (
      DELETE FROM pg_temp.incoming i USING ledger.archived_days d
      WHERE d.bucket = ${bucket} AND i.id >= d.low AND i.id < d.high
      RETURNING i.ctid AS place, i.account_id, i.id, i.amount, i.created_at
    ), held AS (
      INSERT INTO ledger.held_entries (account_id, id, amount, created_at)
      SELECT account_id, id, amount, created_at FROM late ORDER BY place
      ON CONFLICT (account_id, id, amount) DO NOTHING
    )
    SELECT count(*) FROM late`)
  return Number(found?.count)
}

/**
 * Records the rows whose amount is not the one in the ledger, and returns how many of them came in.
 */
async function recordConflicts(connection: Connection, table: string): Promise<number> {
  const found = await connection.queryOne<{ count: string }>(`
    WITH differing AS MATERIALIZED (
      SELECT i.account_id, i.id, i.amount, i.created_at, t.amount AS recorded_amount
      FROM pg_temp.incoming i JOIN ${table} t ON t.account_id = i.account_id AND t.id = i.id
      WHERE t.amount <> i.amount
    ), recorded AS (
      INSERT INTO ledger.conflicts (account_id, id, amount, recorded_amount, created_at)
      SELECT DISTINCT ON (account_id, id, amount)
        account_id, id, amount, recorded_amount, created_at
      FROM differing ORDER BY account_id, id, amount, created_at
      ON CONFLICT (account_id, id, amount) DO NOTHING
    )
    SELECT count(*) FROM differing`)
  return Number(found?.count)
}
