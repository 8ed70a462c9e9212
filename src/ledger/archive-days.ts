// Days of a bucket on their way into files: which there are, and closing them.
// In:  a connection, a date.
// Out: days with their leaves; a closed day changes no more until it is opened again.
// Absent: files (commands/archive/), taking entries out of the tables (archive.ts).

/*
 * A day is closed by a trigger on each of its leaves that refuses rows, with the error of a
 * repeated key. So a flush that brings one takes the slow way, and finds ledger.archived_days there
 * (merge.ts): the entry goes to ledger.held_entries, in the flush's own transaction. CREATE TRIGGER
 * waits for whoever writes to the leaf, and no leaf is opened in a closed day (open-leaves.ts):
 * from then on what the day holds is what it will hold, for as long as `closing` stays the same.
 */

import { setTimeout as delay } from 'node:timers/promises'
import { LedgerError } from '../errors.ts'
import type { Connection } from '../postgres/connection.ts'
import { sqlState } from '../postgres/retry.ts'
import { bucketTable } from './buckets.ts'
import { leafLock } from './leaves.ts'
import { mergeIncoming, type MergeCounts } from './merge.ts'

/** Archiving and restoring days of a bucket exclude each other. */
export const archiveLock = 0x1ed6ea

/** A day of a bucket. */
export interface BucketDay {
  bucket: number
  /** `2026-11-24` */
  day: string
  /** Ids of the day are at least this … */
  low: string
  /** … and below this. */
  high: string
}

export interface DayLeaf {
  /** Without its schema. */
  leaf: string
  /** Ids of the leaf; absent for the leaf of all others of the day. */
  bounds: { low: string; high: string } | undefined
  hasKey: boolean
}

export interface KnownDay extends BucketDay {
  /** Names what the day holds since it was closed; absent while it is open. */
  closing: string | undefined
  isArchived: boolean
}

/** Qualified name of the table of a day. */
export function tableOfDay({ bucket, day }: BucketDay): string {
  return `${bucketTable(bucket)}_${day.replaceAll('-', '')}`
}

interface DayRow {
  name: string
  bounds: string
  closing: string | null
  isArchived: boolean
}

/** Days of this database before a date, ascending. */
export async function daysBefore(connection: Connection, before: string): Promise<KnownDay[]> {
  const rows = await connection.query<DayRow>(`
    SELECT d.relname AS name, pg_get_expr(d.relpartbound, d.oid) AS bounds, a.closing,
      a.archived_at IS NOT NULL AS "isArchived"
    FROM pg_inherits i JOIN pg_inherits j ON j.inhparent = i.inhrelid
    JOIN pg_class d ON d.oid = j.inhrelid AND d.relkind = 'p'
    LEFT JOIN ledger.archived_days a ON d.relname =
      format('transactions_b%s_%s', lpad(a.bucket::text, 2, '0'), to_char(a.day, 'YYYYMMDD'))
    WHERE i.inhparent = 'ledger.transactions'::regclass`)
  return rows
    .map(({ name, bounds, closing, isArchived }): KnownDay => {
      const [, bucket, year, month, day] = /_b(\d+)_(\d{4})(\d\d)(\d\d)$/.exec(name) ?? []
      const { low, high } = boundsOf(bounds) ?? unbounded(name)
      const known = { low, high, closing: closing ?? undefined, isArchived }
      return { bucket: Number(bucket), day: `${year}-${month}-${day}`, ...known }
    })
    .filter(({ day }) => day < before)
    .sort((a, b) => (a.day < b.day ? -1 : a.day > b.day ? 1 : a.bucket - b.bucket))
}

/** The leaves of a day by name; none where it has no table. */
export async function leavesOfDay(connection: Connection, day: BucketDay): Promise<DayLeaf[]> {
  const rows = await connection.query<{ leaf: string; bounds: string; hasKey: boolean }>(
    `SELECT c.relname AS leaf, pg_get_expr(c.relpartbound, c.oid) AS bounds,
       EXISTS (SELECT FROM pg_index i
         WHERE i.indrelid = c.oid AND i.indisunique AND i.indisvalid) AS "hasKey"
     FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
     WHERE i.inhparent = to_regclass($1) ORDER BY c.relname`,
    [tableOfDay(day)],
  )
  return rows.map(({ leaf, bounds, hasKey }) => ({ leaf, bounds: boundsOf(bounds), hasKey }))
}

/** `FOR VALUES FROM ('…') TO ('…')` */
function boundsOf(text: string): { low: string; high: string } | undefined {
  const [, low, high] = /FROM \('([0-9a-f-]{36})'\) TO \('([0-9a-f-]{36})'\)/.exec(text) ?? []
  return low === undefined ? undefined : { low, high }
}

function unbounded(table: string): never {
  throw new LedgerError('LAYOUT_MISMATCH', `Expected ledger.${table} with bounds, found none.`)
}

export async function hasRows(connection: Connection, table: string): Promise<boolean> {
  const found = await connection.queryOne<{ found: boolean }>(
    `SELECT EXISTS (SELECT FROM ${table}) AS found`,
  )
  return found?.found === true
}

/** Closes a day, unless it is; returns what its files are to be named after. */
export async function closeDay(connection: Connection, day: BucketDay): Promise<string> {
  const { bucket, low, high } = day
  return patiently(connection, tableOfDay(day), async () => {
    await connection.script(`${beginSql} SELECT pg_advisory_xact_lock(${leafLock}, ${bucket})`)
    const leaves = await leavesOfDay(connection, day)
    const open = leaves.find(({ hasKey }) => !hasKey)
    if (open !== undefined) {
      const message = `Expected ledger.${open.leaf} to have its key, found it without: a worker has
        it open, or left it so. Workers that run build it`.replace(/\s+/g, ' ')
      throw new LedgerError('DATABASE_UNAVAILABLE', `${message}; try again then.`)
    }
    const rest = leaves.find(({ bounds }) => bounds === undefined)?.leaf
    const { count } = await connection.execute(
      `INSERT INTO ledger.archived_days (bucket, day, low, high, leaf) VALUES ($1, $2, $3, $4, $5)
       ON CONFLICT DO NOTHING`,
      [bucket, day.day, low, high, rest],
    )
    const triggers = leaves.map(
      ({ leaf }) => `CREATE TRIGGER archived BEFORE INSERT ON ledger.${leaf}
        FOR EACH ROW EXECUTE FUNCTION ledger.refuse_entry();`,
    )
    if (count > 0) await connection.script(triggers.join('\n'))
    const found = await connection.queryOne<{ closing: string }>(
      'SELECT closing FROM ledger.archived_days WHERE bucket = $1 AND day = $2',
      [bucket, day.day],
    )
    await connection.execute('COMMIT')
    return found?.closing ?? ''
  })
}

/** Opens a closed day whose entries are in the tables still; what came meanwhile is merged. */
export async function reopenDay(connection: Connection, day: BucketDay): Promise<MergeCounts> {
  return patiently(connection, tableOfDay(day), async () => {
    await connection.script(`${beginSql} SELECT pg_advisory_xact_lock(${leafLock}, ${day.bucket})`)
    const { count } = await connection.execute(
      'DELETE FROM ledger.archived_days WHERE bucket = $1 AND day = $2 AND archived_at IS NULL',
      [day.bucket, day.day],
    )
    const leaves = count === 0 ? [] : await leavesOfDay(connection, day)
    for (const { leaf } of leaves) {
      await connection.script(`DROP TRIGGER archived ON ledger.${leaf}`)
    }
    const merged = await mergeHeld(connection, day)
    await connection.execute('COMMIT')
    return merged
  })
}

/** Makes entries, repetitions or conflicts of what was held for a day that is open again. */
export async function mergeHeld(connection: Connection, day: BucketDay): Promise<MergeCounts> {
  const { bucket, low, high } = day
  await connection.script(`
    SET LOCAL enable_hashjoin = off;
    SET LOCAL enable_mergejoin = off;
    CREATE TEMPORARY TABLE incoming
      (account_id uuid, id uuid, amount bigint, created_at timestamptz)`)
  const { count } = await connection.execute(
    `WITH late AS (
       DELETE FROM ledger.held_entries
       WHERE id >= $1 AND id < $2 AND satisfies_hash_partition('ledger.transactions'::regclass,
         (SELECT buckets FROM ledger.layout), $3, account_id)
       RETURNING place, account_id, id, amount, created_at)
     INSERT INTO pg_temp.incoming
     SELECT account_id, id, amount, created_at FROM late ORDER BY place`,
    [low, high, bucket],
  )
  return mergeIncoming(connection, bucket, count)
}

/**
 * Others wait behind a lock that we wait for, so that must not take long; and a process that stops
 * in between must not hold it.
 */
export const beginSql = `
  BEGIN;
  SET LOCAL synchronous_commit = on;
  SET LOCAL lock_timeout = '500ms';
  SET LOCAL idle_in_transaction_session_timeout = '60s';`

const patienceMs = 60_000

/** Runs a transaction again as long as something it needs is locked. */
export async function patiently<Result>(
  connection: Connection,
  what: string,
  transaction: () => Promise<Result>,
): Promise<Result> {
  const deadline = performance.now() + patienceMs
  for (;;) {
    try {
      return await transaction()
    } catch (error) {
      if (connection.lost !== undefined) throw connection.lost
      await connection.execute('ROLLBACK')
      if (!isLocked(error)) throw error
      if (performance.now() > deadline) {
        const message = `Expected ${what} to be free within ${patienceMs / 1000} s, found it busy.`
        throw new LedgerError('DATABASE_UNAVAILABLE', message, { cause: error })
      }
    }
    await delay(100 + 200 * Math.random())
  }
}

export function isLocked(error: unknown): boolean {
  return ['55P03', '40P01'].includes(sqlState(error instanceof LedgerError ? error.cause : error))
}
