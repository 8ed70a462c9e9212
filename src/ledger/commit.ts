// The one transaction that applies a flush: rows, conflicts, quarantine and checkpoints, or
// nothing.
// In:  a Flush, and a connection nobody else uses meanwhile.
// Out: what became of it.
// Absent: retrying, policy on when to merge (worker/repeats.ts), how rows are encoded.

import assert from 'node:assert/strict'
import { LedgerError } from '../errors.ts'
import type { Connection } from '../postgres/connection.ts'
import { copyIn } from '../postgres/copy.ts'
import { copyHeaderBytes, copyTrailerBytes } from '../limits.ts'
import { sqlState } from '../postgres/retry.ts'
import { crashPoint } from '../testing/crash.ts'
import { bucketTable } from './buckets.ts'
import { arrayLiteral, assertPartition, readCheckpoints } from './checkpoint.ts'
import type {
  BucketRows,
  CheckpointStep,
  CopyRows,
  Flush,
  FlushOutcome,
  QuarantinedRecord,
} from './flush.ts'
import { mergeRows, type MergeCounts } from './merge.ts'

/**
 * Applies the flush. Its buffers may be used again when this settles.
 *
 * Rejects with DATABASE_UNAVAILABLE when the outcome is unknown, or when PostgreSQL could not take
 * the flush for a reason that passes. After any rejection the connection is closed: connect again,
 * and go on from what `readCheckpoints` says.
 */
export async function commitFlush(connection: Connection, flush: Flush): Promise<FlushOutcome> {
  try {
    if (!(await moveCheckpoints(connection, flush.steps))) {
      await connection.execute('ROLLBACK')
      const asked = flush.steps.map(({ partition }) => partition)
      return { kind: 'stale', checkpoints: await readCheckpoints(connection, asked) }
    }
    crashPoint('before-copy')
    for (const record of flush.quarantined) await quarantine(connection, record)
    const counts = await writeBuckets(connection, flush.buckets)
    if (typeof counts === 'number') {
      await connection.execute('ROLLBACK')
      return { kind: 'unsealed', bucket: counts }
    }
    crashPoint('after-copy')
    crashPoint('before-commit')
    const { command } = await connection.execute('COMMIT')
    // COMMIT of a transaction that has failed is answered without an error, by ROLLBACK.
    assert.equal(command, 'COMMIT')
    crashPoint('after-commit')
    return { kind: 'committed', ...counts }
  } catch (error) {
    connection.destroy()
    throw leafRace(connection, error) ?? error
  }
}

/**
 * Begins the transaction and moves all checkpoints, in one round trip; false when not every one of
 * them was where the flush expects it. This is the fence. It comes first, so that a process which
 * has lost a partition learns it before it has written a row, and because the row locks it takes
 * make every rival wait for our outcome.
 *
 * synchronous_commit = off: a crash of PostgreSQL may forget the newest commits, but always rows
 * and checkpoints together, and the log still has what the checkpoint does not cover.
 */
async function moveCheckpoints(
  connection: Connection,
  steps: readonly CheckpointStep[],
): Promise<boolean> {
  const partitions = steps.map(({ partition }) => partition)
  partitions.forEach(assertPartition)
  assert(steps.length > 0, 'a flush moves at least one checkpoint')
  assert.equal(new Set(partitions).size, steps.length, 'a flush moves each checkpoint once')
  const results = await connection.script(`
    BEGIN;
    SET LOCAL synchronous_commit = off;
    UPDATE ledger.checkpoints AS c SET next_offset = s.target, updated_at = now(),
      last_created_at = coalesce(${instant('s.created')}, c.last_created_at),
      pause_from = coalesce(${instant('s.pause_from')}, c.pause_from),
      pause_to = coalesce(${instant('s.pause_to')}, c.pause_to)
    FROM unnest(
      ${arrayLiteral(partitions)}::int[],
      ${arrayLiteral(steps.map(({ from }) => from))}::bigint[],
      ${arrayLiteral(steps.map(({ to }) => to))}::bigint[],
      ${arrayLiteral(steps.map(({ epoch }) => epoch))}::bigint[],
      ${instantsLiteral(steps.map(({ createdAt }) => createdAt))}::float8[],
      ${instantsLiteral(steps.map(({ pause }) => pause?.from))}::float8[],
      ${instantsLiteral(steps.map(({ pause }) => pause?.to))}::float8[]
    ) AS s (partition, source, target, epoch, created, pause_from, pause_to)
    WHERE c.partition = s.partition AND c.next_offset = s.source AND c.epoch = s.epoch`)
  return results[2]?.count === steps.length
}

/** Microseconds since 2000 as the text of an array of doubles: so they were computed. */
function instantsLiteral(values: readonly (number | undefined)[]): string {
  const all = values.map((value) => {
    assert(value === undefined || value === -Infinity || Number.isInteger(value), `${value}`)
    return String(value ?? 'NULL')
  })
  return `'{${all.join(',')}}'`
}

function instant(microseconds: string): string {
  return `CASE WHEN ${microseconds} = '-Infinity' THEN '-infinity'::timestamptz
    ELSE timestamptz '2000-01-01 00:00+00' + ${microseconds} * interval '1 microsecond' END`
}

/** One statement a record, since each may hold a megabyte. */
async function quarantine(connection: Connection, record: QuarantinedRecord): Promise<void> {
  await connection.execute(
    `INSERT INTO ledger.quarantine
       (log_identity, partition, log_offset, reason, bytes, created_at)
     SELECT log_identity, partition, $2, $3, $4, to_timestamp($5::float8 / 1000)
     FROM ledger.checkpoints WHERE partition = $1
     ON CONFLICT DO NOTHING`,
    [
      record.partition,
      record.offset,
      // The one character that a text of PostgreSQL cannot hold.
      record.reason.replaceAll('\0', '\\0'),
      Buffer.from(record.bytes.buffer, record.bytes.byteOffset, record.bytes.byteLength),
      record.timestamp,
    ],
  )
}

/**
 * Up to so many rows of several buckets go into the ledger as one COPY: round trips cost more then
 * than what a repetition among them would.
 */
const togetherRowsMax = 10_000

type RowCounts = MergeCounts & { mergedBuckets: number[]; repeatingBuckets: number[] }

/**
 * What is taken for new goes straight into its table behind a savepoint, so that a key which is
 * there already sends only this bucket the slow way; what is doubtful goes that way at once, after
 * it. The savepoint travels with the COPY and costs nothing measurable (bench/copy.mjs). Returns
 * the number of a bucket that must be sealed first.
 */
async function writeBuckets(
  connection: Connection,
  buckets: readonly BucketRows[],
): Promise<RowCounts | number> {
  const total: RowCounts = {
    inserted: 0,
    duplicates: 0,
    conflicts: 0,
    held: 0,
    mergedBuckets: [],
    repeatingBuckets: [],
  }
  const fresh = buckets.filter(({ rows }) => rows > 0)
  const freshRows = fresh.reduce((sum, { rows }) => sum + rows, 0)
  let savepoint = 'SAVEPOINT bucket'
  let areCopied = false
  if (fresh.length > 1 && freshRows <= togetherRowsMax) {
    const table = 'ledger.transactions'
    areCopied = await copyRows(connection, savepoint, table, joinCopies(fresh), freshRows)
    savepoint = 'RELEASE bucket; SAVEPOINT bucket'
  }
  for (const rows of buckets) {
    const toMerge: CopyRows[] = []
    let isCopied = areCopied || rows.rows === 0
    if (!isCopied) {
      const table = bucketTable(rows.bucket)
      isCopied = await copyRows(connection, savepoint, table, [rows.copy], rows.rows)
      savepoint = 'RELEASE bucket; SAVEPOINT bucket'
    }
    if (isCopied) total.inserted += rows.rows
    else toMerge.push(rows)
    if (rows.doubtful.rows > 0) toMerge.push(rows.doubtful)
    if (toMerge.length === 0) continue
    if (rows.isOpen) return rows.bucket
    await mergeAll(connection, rows.bucket, toMerge, total)
  }
  return total
}

/** One after the other: of equal keys, the first in log order stands in the first of them. */
async function mergeAll(
  connection: Connection,
  bucket: number,
  toMerge: readonly CopyRows[],
  total: RowCounts,
): Promise<void> {
  let repeats = 0
  for (const rows of toMerge) {
    const { inserted, duplicates, conflicts, held } = await mergeRows(connection, bucket, rows)
    total.inserted += inserted
    total.duplicates += duplicates
    total.conflicts += conflicts
    total.held += held
    repeats += duplicates + conflicts
  }
  total.mergedBuckets.push(bucket)
  if (repeats > 0) total.repeatingBuckets.push(bucket)
}

/** One binary COPY of several: their headers and trailers are left out in between. */
function joinCopies(buckets: readonly CopyRows[]): Uint8Array[] {
  return buckets.map(({ copy }, index) => {
    const from = index === 0 ? 0 : copyHeaderBytes
    return copy.subarray(from, copy.length - (index < buckets.length - 1 ? copyTrailerBytes : 0))
  })
}

/** False when a key was there already; the transaction is then as it was before. */
async function copyRows(
  connection: Connection,
  savepoint: string,
  table: string,
  copies: readonly Uint8Array[],
  rows: number,
): Promise<boolean> {
  const sql = `${savepoint};
    COPY ${table} (account_id, id, amount, created_at) FROM STDIN (FORMAT binary)`
  try {
    const copied = await copyIn(connection, sql, copies)
    assert.equal(copied, rows, `rows copied into ${table}`)
    return true
  } catch (error) {
    if (sqlState(error) !== '23505') throw error
    await connection.execute('ROLLBACK TO bucket')
    return false
  }
}

/**
 * While a day leaf is being attached, a COPY that began before may route a row of that day to the
 * default leaf, which no longer takes it; so it is with the leaves of a day and its rest. The next
 * attempt finds the new leaf. Any other row that does not fit its table is a bug.
 */
function leafRace(connection: Connection, error: unknown): LedgerError | undefined {
  if (sqlState(error) !== '23514') return undefined
  const { table } = error as { table?: string }
  if (table === undefined || !/_(default|rest)$/.test(table)) return undefined
  const message = `${connection.where}: a leaf was created beside ${table} during the flush.`
  return new LedgerError('DATABASE_UNAVAILABLE', message, { cause: error })
}
