// Open leaves: range partitions of a day that are filled without a key, and get it when they are
// full.
// In:  a bucket that one worker has to itself; a span of ids.
// Out: an empty leaf without indexes; later, its key.
// Absent: knowing what is in an open leaf, and when to open and seal (worker/bucket-keys.ts and
//         worker/open-buckets.ts).

/*
 * Inserting into a key in place costs PostgreSQL about three times what the row itself costs;
 * building the key of a full leaf in one go costs as much as the row (decision 0018). While a leaf
 * is open, PostgreSQL does not see a repetition in it, so somebody else must, and who may write
 * there makes that possible:
 *
 *   1. A leaf is opened, empty, only by a worker that at that instant holds every partition of its
 *      bucket. The checkpoints are locked while that is looked at.
 *   2. Who claims a partition seals all open leaves of its bucket before writing a row.
 *   3. So an open leaf holds nothing but what its opener wrote since. The opener remembers every
 *      key of it, and where its memory is in doubt (a lost connection, an outcome unknown or stale)
 *      it seals too before it goes on. Who seals waits first for openings that are under way.
 *
 * Once sealed, PostgreSQL enforces uniqueness as everywhere else, for ever; and should any of this
 * be wrong, sealing says so instead of letting it pass.
 */

import assert from 'node:assert/strict'
import { LedgerError } from '../errors.ts'
import { bucketLeavesMax } from '../limits.ts'
import type { Connection } from '../postgres/connection.ts'
import { databaseError, sqlState } from '../postgres/retry.ts'
import { partitionCount } from '../record/layout.ts'
import { crashPoint } from '../testing/crash.ts'
import { bucketTable, leafIndexesSql, raiseLeafVersionSql } from './buckets.ts'
import { arrayLiteral } from './checkpoint.ts'
import { dayMilliseconds, dayTable, leafLock, lowestIdAt, restLeafTable } from './leaves.ts'

/** Sessions that seal leaves of the same bucket do so one after the other. */
const sealLock = 0x1ed6e9

/** UUIDv7 ids from `from` to before `to`, in milliseconds since 1970 UTC, within one day. */
export interface IdSpan {
  from: number
  to: number
}

/** What a worker holds of a bucket, as proof that it has it to itself. */
export interface HeldPartition {
  partition: number
  epoch: number
}

/** Qualified name of the leaf of a span; whole seconds tell them apart. */
export function openLeafTable(bucket: number, { from, to }: IdSpan): string {
  const day = Math.floor(from / dayMilliseconds) * dayMilliseconds
  assert(from % 1000 === 0 && to > from && to <= day + dayMilliseconds, 'a span within one day')
  const time = new Date(from).toISOString().slice(11, 19).replaceAll(':', '')
  return `${dayTable(bucket, day)}_${time}`
}

/**
 * Opens a leaf for the span. Returns why it was not opened, or `undefined`. `held` must be all
 * partitions of the bucket: anything less is refused.
 *
 * The leaf is made aside and attached, which locks only the rest of the day; as in leaves.ts,
 * time-outs keep this from holding up anyone.
 */
export async function openLeaf(
  connection: Connection,
  bucket: number,
  span: IdSpan,
  held: readonly HeldPartition[],
): Promise<string | undefined> {
  try {
    return await openLeafOnce(connection, bucket, span, held)
  } catch (error) {
    if (connection.lost !== undefined) throw connection.lost
    await connection.execute('ROLLBACK')
    switch (sqlState(error instanceof LedgerError ? error.cause : error)) {
      case '23514':
        return 'rows of this span are in the rest of the day already'
      case '55P03':
      case '57014':
      case '40P01':
        return 'the rest of the day was locked, or took too long to scan'
      case '42P01':
      case '42809':
        return 'the day has no table that can be divided'
      case '42P07':
      case '42P17':
        return 'there is a leaf of this span'
      default:
        throw databaseError(error, connection.where)
    }
  }
}

async function openLeafOnce(
  connection: Connection,
  bucket: number,
  span: IdSpan,
  held: readonly HeldPartition[],
): Promise<string | undefined> {
  const leaf = openLeafTable(bucket, span)
  const day = Math.floor(span.from / dayMilliseconds) * dayMilliseconds
  const results = await connection.script(`
    BEGIN;
    SET LOCAL lock_timeout = '200ms';
    SET LOCAL statement_timeout = '2s';
    SET LOCAL idle_in_transaction_session_timeout = '5s';
    SET LOCAL synchronous_commit = on;
    SELECT pg_advisory_xact_lock(${leafLock}, ${bucket});
    SELECT FROM ledger.checkpoints c
    JOIN unnest(
      ${arrayLiteral(held.map(({ partition }) => partition))}::int[],
      ${arrayLiteral(held.map(({ epoch }) => epoch))}::bigint[]
    ) AS h (partition, epoch) USING (partition)
    WHERE c.epoch = h.epoch
    FOR UPDATE OF c`)
  const found = await connection.queryOne<{ buckets: number; leaves: number; closed: boolean }>(
    `SELECT buckets, (
       SELECT count(*)::int
       FROM pg_inherits leaf JOIN pg_inherits day ON leaf.inhparent = day.inhrelid
       WHERE day.inhparent = $1::regclass) AS leaves, EXISTS (
       SELECT FROM ledger.archived_days WHERE bucket = $2 AND low = $3) AS closed
     FROM ledger.layout`,
    [bucketTable(bucket), bucket, lowestIdAt(day)],
  )
  const { buckets, leaves, closed } = found ?? { buckets: 1, leaves: 0, closed: false }
  const refused =
    results.at(-1)?.count !== partitionCount / buckets
      ? 'somebody else holds partitions of the bucket'
      : leaves >= bucketLeavesMax
        ? `the bucket has ${leaves} leaves`
        : closed
          ? 'the day is archived, or about to be'
          : undefined
  if (refused !== undefined) {
    await connection.execute('ROLLBACK')
    return refused
  }
  await connection.script(`
    CREATE TABLE ${leaf} (LIKE ${restLeafTable(bucket, day)});
    ALTER TABLE ${dayTable(bucket, day)} ATTACH PARTITION ${leaf}
      FOR VALUES FROM ('${lowestIdAt(span.from)}') TO ('${lowestIdAt(span.to)}');
    ${raiseLeafVersionSql(bucket, 'leaves')}`)
  await connection.execute('COMMIT')
  crashPoint('after-leaf-opened')
  return undefined
}

/** Gives a leaf its key; nothing if it has it. Readers go on meanwhile, writers to it wait. */
export async function sealLeaf(
  connection: Connection,
  bucket: number,
  leaf: string,
): Promise<void> {
  assert(leaf.startsWith(`${bucketTable(bucket)}_`))
  crashPoint('before-leaf-sealed')
  try {
    // Sorting wants memory, and a second process for it only moves the work. A key must survive a
    // crash: behind a pooler nobody would notice that it is gone, and the keys are forgotten.
    await connection.script(`
      BEGIN;
      SET LOCAL synchronous_commit = on;
      SET LOCAL maintenance_work_mem = '128MB';
      SET LOCAL max_parallel_maintenance_workers = 0;
      SELECT pg_advisory_xact_lock(${sealLock}, ${bucket});
      ${leafIndexesSql(leaf)}
      COMMIT`)
  } catch (error) {
    if (connection.lost !== undefined) throw connection.lost
    await connection.execute('ROLLBACK')
    if (sqlState(error) !== '23505') throw databaseError(error, connection.where)
    throw new LedgerError(
      'KEY_VIOLATED',
      `${connection.where}: expected each (account_id, id) once in ${leaf}, found one twice. ` +
        'Nobody but the program may write to the ledger. Its key cannot be built, and nothing ' +
        'more is written to the bucket, until the rows that do not belong there are removed.',
      { cause: error },
    )
  }
}

/**
 * Seals every open leaf of a bucket, whoever opened it. A leaf may be under way still: a session
 * that was cut may have sent the COMMIT of its opening, and go on with it for as long as the disk
 * or a standby takes. Nothing would show of it yet, so its end is awaited.
 */
export async function sealBucket(connection: Connection, bucket: number): Promise<void> {
  await connection.script(`BEGIN; SELECT pg_advisory_xact_lock(${leafLock}, ${bucket}); COMMIT`)
  const open = await connection.query<{ leaf: string }>(
    `SELECT c.relname AS leaf
     FROM pg_partition_tree($1::regclass) t JOIN pg_class c ON c.oid = t.relid
     WHERE t.isleaf AND NOT EXISTS (
       SELECT FROM pg_index i WHERE i.indrelid = t.relid AND i.indisunique AND i.indisvalid)
     ORDER BY leaf`,
    [bucketTable(bucket)],
  )
  for (const { leaf } of open) await sealLeaf(connection, bucket, `ledger.${leaf}`)
}

/**
 * How often each table was looked into, as a whole or through an index; in an open leaf PostgreSQL
 * has to read all of it for that. A second late at most; 0 where the server keeps no such
 * statistics.
 */
export async function scansOf(
  connection: Connection,
  tables: readonly string[],
): Promise<number[]> {
  const found = await connection.query<{ scans: number }>(
    `SELECT (coalesce(pg_stat_get_numscans(t.oid), 0) + (
       SELECT coalesce(sum(pg_stat_get_numscans(indexrelid)), 0)
       FROM pg_index WHERE indrelid = t.oid))::float8 AS scans
     FROM (SELECT to_regclass(name)::oid AS oid, place
           FROM unnest($1::text[]) WITH ORDINALITY AS n (name, place)) t
     ORDER BY place`,
    [tables],
  )
  return found.map(({ scans }) => scans)
}
