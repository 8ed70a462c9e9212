// Roll-ups: what an account's entries add up to, per range of ids, so that a balance need not read
// them all.
// In:  leaves that have their key, and up to which id to roll them up.
// Out: ledger.rollups, exact at every instant for whoever reads in one snapshot (balance-sql.ts).
// Absent: any cost for entries that are not late, and when to roll up what (worker/roller.ts).

/*
 * A balance is, in one snapshot: the account's roll-ups, its deltas below covered_below of their
 * leaf, and its entries not below covered_below, read from the leaves. Nothing is in two of them
 * and nothing in none, because:
 *
 *   1. Every change here locks ledger.rollup_leaves against its like before it takes its snapshot
 *      (LOCK takes none), so two that roll up at once come one after the other.
 *   2. Arming gives the leaf a trigger: an entry below armed_below leaves a delta in its own
 *      transaction. CREATE TRIGGER waits for every transaction that has written to the leaf, and
 *      those that come see the trigger. armed_below is written in the same transaction, and never
 *      set below covered_below.
 *   3. Covering takes a snapshot in which armed_below is as far as it is about to cover, so arming
 *      was committed before. Of the entries in the range, those without a delta were committed
 *      before arming was, and are seen; those with a delta are seen together with it or not at all.
 *      What is seen is summed up and its deltas are deleted; the deltas of the others stay, and
 *      count from the moment their entries do. The sums, the deletion and the new covered_below
 *      commit together.
 *   4. Until then covered_below is what it was: deltas at or above it do not count, since the
 *      entries themselves do. A process that ends between the two leaves nothing but such deltas,
 *      and the next covering of the range deletes them.
 *   5. Folding moves deltas into roll-ups, merging makes one range of several: each in one
 *      transaction, and adding up to the same.
 *
 * All of it is ordinary rows: a crash of PostgreSQL forgets none of it without what came after.
 */

import { LedgerError } from '../errors.ts'
import type { Connection } from '../postgres/connection.ts'
import { databaseError, sqlState } from '../postgres/retry.ts'
import { crashPoint } from '../testing/crash.ts'
import { raiseLeafVersionSql } from './buckets.ts'

/** No id is below it. */
export const lowestId = '00000000-0000-0000-0000-000000000000'

/** How far a leaf is rolled up; a bound of `undefined` is above every id. */
export interface LeafCoverage {
  /** Without its schema, as in ledger.rollup_leaves. */
  leaf: string
  bucket: number
  /** Entries with lower ids are rolled up. */
  below: string | undefined
}

const lockSql = `
  SET LOCAL lock_timeout = '200ms';
  SET LOCAL idle_in_transaction_session_timeout = '60s';
  LOCK TABLE ledger.rollup_leaves IN SHARE ROW EXCLUSIVE MODE`

/**
 * Rolls up a leaf from where it was to before `high`; false when somebody else was at it, or the
 * leaf was busy: nothing is changed then. The leaf must have its key.
 */
export async function rollUp(
  connection: Connection,
  from: LeafCoverage,
  high: string | undefined,
): Promise<boolean> {
  if (!(await arm(connection, from, high))) return false
  crashPoint('after-rollup-armed')
  return cover(connection, from, high)
}

/**
 * Makes the roll-ups of a leaf anew from its entries, as far as it was covered, whatever they were.
 */
export async function rebuildLeaf(connection: Connection, from: LeafCoverage): Promise<boolean> {
  if (!(await arm(connection, from, from.below))) return false
  return cover(connection, { ...from, below: lowestId }, from.below)
}

/** The first phase: entries that come now below `high` leave a delta. */
export async function arm(
  connection: Connection,
  { leaf, bucket }: LeafCoverage,
  high: string | undefined,
): Promise<boolean> {
  const when = high === undefined ? '' : `WHEN (NEW.id < '${high}')`
  return changed(connection, 'READ COMMITTED', async () => {
    const { count } = await connection.execute(
      `INSERT INTO ledger.rollup_leaves AS l (leaf, bucket, covered_below, armed_below)
       VALUES ($1, $2, $3, $4)
       ON CONFLICT (leaf) DO UPDATE SET armed_below = excluded.armed_below
       WHERE excluded.armed_below IS NULL OR l.covered_below <= excluded.armed_below`,
      [leaf, bucket, lowestId, high ?? null],
    )
    if (count === 0) return false
    await connection.script(
      `CREATE OR REPLACE TRIGGER rollup AFTER INSERT ON ledger.${leaf}
       FOR EACH ROW ${when} EXECUTE FUNCTION ledger.note_late_entry()`,
    )
    return true
  })
}

/**
 * The second phase. Where it is from the lowest id on, what was rolled up before is replaced.
 */
export async function cover(
  connection: Connection,
  { leaf, bucket, below: low = lowestId }: LeafCoverage,
  high: string | undefined,
): Promise<boolean> {
  return changed(connection, 'REPEATABLE READ', async () => {
    const found = await connection.queryOne<{ covers: boolean }>(
      `SELECT armed_below IS NOT DISTINCT FROM $2::uuid
         AND (covered_below = $3 OR $3 = $4) AS covers
       FROM ledger.rollup_leaves WHERE leaf = $1`,
      [leaf, high ?? null, low, lowestId],
    )
    if (found?.covers !== true) return false
    await connection.script(`SET LOCAL work_mem = '64MB'`)
    await connection.execute(
      `WITH old AS (DELETE FROM ledger.rollup_ranges WHERE leaf = $1 AND low >= $2 RETURNING range)
       DELETE FROM ledger.rollups WHERE range IN (SELECT range FROM old)`,
      [leaf, low],
    )
    const range = await connection.queryOne<{ range: number }>(
      `INSERT INTO ledger.rollup_ranges (leaf, low, high, accounts) VALUES ($1, $2, $3, 0)
       RETURNING range`,
      [leaf, low, high ?? null],
    )
    const added = await connection.execute(sumSql(leaf, low, high), [range?.range])
    await connection.execute(
      `WITH gone AS (
         DELETE FROM ledger.rollup_deltas
         WHERE leaf = $1 AND id >= $3 AND ($4::uuid IS NULL OR id < $4)
       ), sized AS (UPDATE ledger.rollup_ranges SET accounts = $5 WHERE range = $2)
       UPDATE ledger.rollup_leaves
       SET covered_below = $4, bytes = pg_relation_size($6::regclass) WHERE leaf = $1`,
      [leaf, range?.range, low, high ?? null, added.count, `ledger.${leaf}`],
    )
    await connection.script(raiseLeafVersionSql(bucket, 'rollups'))
    crashPoint('before-rollup-commit')
    return true
  })
}

/** $1: the range to write. The ends are looked up in the leaf's key. */
export function sumSql(leaf: string, low: string, high: string | undefined): string {
  const inside = `id >= '${low}'` + (high === undefined ? '' : ` AND id < '${high}'`)
  const end = (order: string): string =>
    `CROSS JOIN LATERAL (
       SELECT id, created_at FROM ledger.${leaf} WHERE account_id = s.account_id AND ${inside}
       ORDER BY id ${order} LIMIT 1)`
  return `INSERT INTO ledger.rollups (account_id, range, count, sum,
      first_id, first_at, last_id, last_at, earliest, latest)
    SELECT s.account_id, $1::int, s.count, s.sum,
      a.id, a.created_at, z.id, z.created_at, s.earliest, s.latest
    FROM (SELECT account_id, count(*), sum(amount),
            min(created_at) AS earliest, max(created_at) AS latest
          FROM ledger.${leaf} WHERE ${inside} GROUP BY account_id ORDER BY account_id) s
    ${end('ASC')} a ${end('DESC')} z`
}

/** What several roll-ups of an account add up to; the ends are those of the outermost. */
export const combinedSql = `sum(count), sum(sum),
  (array_agg(first_id ORDER BY first_id))[1], (array_agg(first_at ORDER BY first_id))[1],
  (array_agg(last_id ORDER BY last_id DESC))[1], (array_agg(last_at ORDER BY last_id DESC))[1],
  min(earliest), max(latest)`

/** Adds late entries to the roll-ups of their ranges; returns how many, or that it was busy. */
export async function foldDeltas(connection: Connection): Promise<number | undefined> {
  let folded = 0
  const done = await changed(connection, 'READ COMMITTED', async () => {
    const { count } = await connection.execute(`
      WITH gone AS (
        DELETE FROM ledger.rollup_deltas d USING ledger.rollup_ranges r
        WHERE r.leaf = d.leaf AND d.id >= r.low AND (r.high IS NULL OR d.id < r.high)
        RETURNING d.account_id, r.range, d.amount, d.id, d.created_at
      ), late AS (
        SELECT account_id, range, 1 AS count, amount AS sum, id AS first_id, created_at AS first_at,
          id AS last_id, created_at AS last_at, created_at AS earliest, created_at AS latest
        FROM gone
      )
      INSERT INTO ledger.rollups AS r (account_id, range, count, sum,
        first_id, first_at, last_id, last_at, earliest, latest)
      SELECT account_id, range, ${combinedSql} FROM late GROUP BY account_id, range
      ON CONFLICT (account_id, range) DO UPDATE SET
        count = r.count + excluded.count,
        sum = r.sum + excluded.sum,
        first_id = least(r.first_id, excluded.first_id),
        first_at = CASE WHEN r.first_id < excluded.first_id
          THEN r.first_at ELSE excluded.first_at END,
        last_id = greatest(r.last_id, excluded.last_id),
        last_at = CASE WHEN r.last_id > excluded.last_id THEN r.last_at ELSE excluded.last_at END,
        earliest = least(r.earliest, excluded.earliest),
        latest = greatest(r.latest, excluded.latest)`)
    folded = count
    return true
  })
  return done ? folded : undefined
}

/** A range of a leaf and its roll-ups, as ledger.rollup_ranges has it. */
export interface Range {
  range: number
  low: string
  high: string | null
}

/** Ascending. */
export function rangesOf(connection: Connection, leaf: string): Promise<Range[]> {
  return connection.query<Range>(
    'SELECT range, low, high FROM ledger.rollup_ranges WHERE leaf = $1 ORDER BY low',
    [leaf],
  )
}

/** Makes one range of neighbours, ascending, of one leaf. False when they are no longer there. */
export async function mergeRanges(
  connection: Connection,
  leaf: string,
  ranges: readonly Range[],
): Promise<boolean> {
  return changed(connection, 'READ COMMITTED', async () => {
    const old = ranges.map(({ range }) => range)
    const { count } = await connection.execute(
      'DELETE FROM ledger.rollup_ranges WHERE range = ANY ($1::int[]) AND leaf = $2',
      [old, leaf],
    )
    if (count !== old.length) return false
    const merged = await connection.queryOne<{ range: number }>(
      `INSERT INTO ledger.rollup_ranges (leaf, low, high, accounts) VALUES ($1, $2, $3, 0)
       RETURNING range`,
      [leaf, ranges[0]?.low, ranges.at(-1)?.high],
    )
    await connection.execute(
      `WITH gone AS (DELETE FROM ledger.rollups WHERE range = ANY ($2::int[]) RETURNING *),
       added AS (
         INSERT INTO ledger.rollups (account_id, range, count, sum,
           first_id, first_at, last_id, last_at, earliest, latest)
         SELECT account_id, $1::int, ${combinedSql} FROM gone GROUP BY account_id
         RETURNING 1)
       UPDATE ledger.rollup_ranges SET accounts = (SELECT count(*) FROM added) WHERE range = $1`,
      [merged?.range, old],
    )
    return true
  })
}

/** Forgets leaves that are no longer part of the ledger, and roll-ups of no range. */
export async function forgetLostLeaves(connection: Connection): Promise<boolean> {
  return changed(connection, 'READ COMMITTED', async () => {
    const lost = await connection.query<{ bucket: number }>(`
      DELETE FROM ledger.rollup_leaves l WHERE NOT EXISTS (
        SELECT FROM pg_class c JOIN pg_inherits i ON i.inhrelid = c.oid
        WHERE c.relnamespace = 'ledger'::regnamespace AND c.relname = l.leaf)
      RETURNING bucket`)
    await connection.script(`
      DELETE FROM ledger.rollup_ranges r
      WHERE NOT EXISTS (SELECT FROM ledger.rollup_leaves l WHERE l.leaf = r.leaf);
      DELETE FROM ledger.rollups u
      WHERE NOT EXISTS (SELECT FROM ledger.rollup_ranges r WHERE r.range = u.range);
      DELETE FROM ledger.rollup_deltas d
      WHERE NOT EXISTS (SELECT FROM ledger.rollup_leaves l WHERE l.leaf = d.leaf)`)
    for (const bucket of new Set(lost.map((one) => one.bucket))) {
      await connection.script(raiseLeafVersionSql(bucket, 'rollups'))
    }
    return true
  })
}

/** Runs one change under the lock; false when it, or what it needs, is busy. */
async function changed(
  connection: Connection,
  isolation: 'READ COMMITTED' | 'REPEATABLE READ',
  change: () => Promise<boolean>,
): Promise<boolean> {
  try {
    await connection.script(`BEGIN ISOLATION LEVEL ${isolation}; ${lockSql}`)
    const done = await change()
    await connection.execute(done ? 'COMMIT' : 'ROLLBACK')
    return done
  } catch (error) {
    if (connection.lost !== undefined) throw connection.lost
    await connection.execute('ROLLBACK')
    const state = sqlState(error instanceof LedgerError ? error.cause : error)
    // Locked, changed by somebody else, cancelled in his favour, or a leaf that is gone.
    if (['55P03', '40001', '57014', '40P01', '42P01'].includes(state)) return false
    throw databaseError(error, connection.where)
  }
}
