// Days: the range partitions of each bucket, created before the first id of their day arrives.
// In:  the buckets of a database, and a span of days.
// Out: tables.
// Absent: leaves within a day (open-leaves.ts), detaching old days, deciding when to call this
//         (worker/).

import { setTimeout as sleep } from 'node:timers/promises'
import { LedgerError } from '../errors.ts'
import type { Logger } from '../observe/logger.ts'
import type { Connection } from '../postgres/connection.ts'
import { databaseError, sqlState } from '../postgres/retry.ts'
import {
  bucketTable,
  bucketsOf,
  defaultLeafTable,
  leafIndexesSql,
  raiseLeafVersionSql,
} from './buckets.ts'
import { readLayout } from './migrate.ts'

export const dayMilliseconds = 86_400_000

/** Sessions that create the same bucket's leaves do so one after the other. */
export const leafLock = 0x1ed6e8

export interface LeafSpan {
  /** Any instant of the first day (UTC). */
  from: Date
  /** Any instant of the last day (UTC). */
  to: Date
}

/**
 * A leaf that could not be created now; rows of its day go to the default leaf: slower, never
 * wrong.
 */
export interface SkippedLeaf {
  bucket: number
  /** `2026-11-24` */
  day: string
  reason: string
}

/**
 * What should exist around an instant: ids may be a little old, and a program may stand still for
 * days.
 */
function spanAround(now: Date): LeafSpan {
  return {
    from: new Date(now.getTime() - dayMilliseconds),
    to: new Date(now.getTime() + 3 * dayMilliseconds),
  }
}

/**
 * Creates the day leaves of every bucket of this database that do not exist yet. Safe beside
 * flushes and beside itself. Warns of, and returns, what was skipped: rows of that day already are
 * in the default leaf, or the default leaf was busy for too long.
 */
export async function ensureLeaves(
  connection: Connection,
  logger: Pick<Logger, 'warn'>,
  span: LeafSpan = spanAround(new Date()),
): Promise<SkippedLeaf[]> {
  const layout = await readLayout(connection)
  const existing = await existingTables(connection)
  const skipped: SkippedLeaf[] = []
  for (const bucket of bucketsOf(layout)) {
    for (const day of daysOf(span)) {
      if (existing.has(dayTable(bucket, day))) continue
      const reason = await createLeaf(connection, bucket, day)
      if (reason !== undefined) skipped.push({ bucket, day: isoDay(day), reason })
    }
  }
  if (skipped.length > 0) {
    logger.warn(
      { skipped },
      'some day leaves could not be created; their rows go to the default leaf',
    )
  }
  return skipped
}

/**
 * Has the BRIN of each leaf that grew know its new rows: what it does not know is read whole by
 * whoever looks for entries by id or by time, and PostgreSQL itself waits for a fifth of the leaf.
 * It reads each row once more and holds up nobody.
 *
 * @param seen what the last call saw of each leaf
 */
export async function summarizeLeaves(
  connection: Connection,
  seen: Map<string, string>,
): Promise<void> {
  // A range of a BRIN is 128 pages.
  const leaves = await connection.query<{ index: string; rows: string }>(
    `SELECT format('%I.%I', s.schemaname, s.indexrelname) AS index, n_tup_ins AS rows
     FROM pg_stat_user_indexes s JOIN pg_stat_user_tables t USING (relid)
     WHERE s.schemaname = 'ledger' AND s.indexrelname LIKE '%\\_id'
       AND t.relname LIKE 'transactions\\_b%'
       AND pg_relation_size(s.relid) >= 128 * current_setting('block_size')::int`,
  )
  for (const { index, rows } of leaves) {
    if (seen.get(index) === rows) continue
    await connection.execute('SELECT brin_summarize_new_values($1::regclass)', [index])
    seen.set(index, rows)
  }
}

/** Pages a leaf has at least before what PostgreSQL knows of it matters. */
const analyzedPagesMin = 64
/** Growth since PostgreSQL looked last, past which plans made then are bad ones. */
const analyzedGrowth = 4

/**
 * Has PostgreSQL look at leaves that have grown much since it did last. A plan made while a leaf
 * was empty reads all of it, and sessions that prepared it go on with it until then; autovacuum
 * comes a minute later, when that may be a million rows. Leaves without a key are left alone:
 * building it would have to wait.
 */
export async function analyzeGrownLeaves(connection: Connection): Promise<void> {
  const grown = await connection.query<{ leaf: string }>(
    `SELECT c.oid::regclass::text AS leaf
     FROM pg_class c
     WHERE c.relnamespace = 'ledger'::regnamespace AND c.relkind = 'r' AND c.relispartition
       AND pg_relation_size(c.oid) / current_setting('block_size')::int
         > greatest(${analyzedPagesMin}, ${analyzedGrowth} * c.relpages)
       AND EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.oid AND i.indisunique)`,
  )
  for (const { leaf } of grown) await connection.execute(`ANALYZE ${leaf}`)
}

/** Table of a bucket's day, qualified. `day` is the day's first millisecond. */
export function dayTable(bucket: number, day: number): string {
  return `${bucketTable(bucket)}_${isoDay(day).replaceAll('-', '')}`
}

/** The leaf for ids of a day that belong to no other leaf of it: under ordinary load, all. */
export function restLeafTable(bucket: number, day: number): string {
  return `${dayTable(bucket, day)}_rest`
}

/** The lowest id whose first 48 bits, where UUIDv7 has its Unix milliseconds, are this instant. */
export function lowestIdAt(milliseconds: number): string {
  const hex = milliseconds.toString(16).padStart(12, '0')
  return `${hex.slice(0, 8)}-${hex.slice(8)}-0000-0000-000000000000`
}

function daysOf({ from, to }: LeafSpan): number[] {
  const first = Math.floor(from.getTime() / dayMilliseconds)
  const last = Math.floor(to.getTime() / dayMilliseconds)
  return Array.from({ length: last - first + 1 }, (_, index) => (first + index) * dayMilliseconds)
}

function isoDay(day: number): string {
  return new Date(day).toISOString().slice(0, 10)
}

async function existingTables(connection: Connection): Promise<Set<string>> {
  const rows = await connection.query<{ name: string }>(
    `SELECT relname AS name FROM pg_class
     WHERE relnamespace = 'ledger'::regnamespace AND relispartition AND relkind IN ('r', 'p')`,
  )
  return new Set(rows.map(({ name }) => `ledger.${name}`))
}

const attempts = 5

/** Returns why it was not created, or `undefined` when the leaf exists. */
async function createLeaf(
  connection: Connection,
  bucket: number,
  day: number,
): Promise<string | undefined> {
  for (let attempt = 1; ; attempt++) {
    try {
      await createLeafOnce(connection, bucket, day)
      return undefined
    } catch (error) {
      if (connection.lost !== undefined) throw connection.lost
      await connection.execute('ROLLBACK')
      const cause = error instanceof LedgerError ? error.cause : error
      const state = sqlState(cause)
      if (state === '23514') return 'rows of this day are in the default leaf already'
      const isBusy = state === '55P03' || state === '57014' || state === '40P01'
      if (!isBusy) throw databaseError(error, connection.where)
      if (attempt === attempts) return 'the default leaf was locked, or took too long to scan'
      await sleep(20 * 2 ** attempt * (0.5 + Math.random() / 2))
    }
  }
}

/**
 * Creates the table aside and attaches it. CREATE TABLE … PARTITION OF would lock the whole bucket
 * against its flush; ATTACH locks only the default leaf, which PostgreSQL scans for rows that
 * belong to the new one. Flushes of ordinary UUIDv7 ids do not touch that leaf. lock_timeout keeps
 * those that do from queueing behind us, and statement_timeout keeps the scan of a large default
 * leaf short: then the leaf is skipped. Should this process stop between two statements (a paused
 * or lost machine), PostgreSQL ends the session, and with it the lock.
 */
async function createLeafOnce(connection: Connection, bucket: number, day: number): Promise<void> {
  const table = dayTable(bucket, day)
  const rest = restLeafTable(bucket, day)
  await connection.script(`
    BEGIN;
    SET LOCAL lock_timeout = '500ms';
    SET LOCAL statement_timeout = '5s';
    SET LOCAL idle_in_transaction_session_timeout = '5s';
    SELECT pg_advisory_xact_lock(${leafLock}, ${bucket})`)
  const found = await connection.queryOne<{ exists: boolean }>(
    `SELECT to_regclass($1) IS NOT NULL AS exists`,
    [table],
  )
  if (found?.exists !== true) {
    await connection.script(`
      CREATE TABLE ${table} (LIKE ${defaultLeafTable(bucket)}) PARTITION BY RANGE (id);
      CREATE TABLE ${rest} PARTITION OF ${table} DEFAULT;
      ${leafIndexesSql(rest)}
      ALTER TABLE ${bucketTable(bucket)} ATTACH PARTITION ${table}
        FOR VALUES FROM ('${lowestIdAt(day)}') TO ('${lowestIdAt(day + dayMilliseconds)}');
      ${raiseLeafVersionSql(bucket, 'leaves')}`)
  }
  await connection.execute('COMMIT')
}
