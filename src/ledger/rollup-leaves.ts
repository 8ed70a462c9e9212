// The leaves of a database as roll-ups see them: which there are, how far they are rolled up, and
// what is being written to them.
// In:  a connection.
// Out: leaves with their bounds and sizes; ids written last; whether rolling up pays.
// Absent: rolling up (rollups.ts), when to do it (worker/roller.ts).

import { LedgerError } from '../errors.ts'
import type { Connection } from '../postgres/connection.ts'
import { lowestId, type LeafCoverage, type Range } from './rollups.ts'

export interface Leaf extends LeafCoverage {
  kind: 'default' | 'rest' | 'span'
  hasKey: boolean
  /** Whether anything of it is rolled up. */
  isRolledUp: boolean
  /** Ids of the leaf are lower, in milliseconds since 1970 UTC; Infinity for the default leaf. */
  endMs: number
  pages: number
  /** Size when it was rolled up, or found not worth it, the last time. */
  coveredPages: number
}

interface Row {
  /** Table of the bucket. */
  bucket: string
  leaf: string
  hasKey: boolean
  bounds: string
  dayBounds: string | null
  pages: number
  below: string | null
  isKnown: boolean
  coveredPages: number
}

const pageBytes = 8192

/**
 * All leaves of a database that are not rolled up as a whole; `all` adds those that are, but for
 * what is archived: its roll-ups cannot be made again.
 */
export async function leavesOf(connection: Connection, all = false): Promise<Leaf[]> {
  const rows = await connection.query<Row>(
    `WITH inside AS (
       SELECT bucket.relname AS bucket, child.oid, child.relname, child.relkind,
         child.relpartbound
       FROM pg_inherits i JOIN pg_class bucket ON bucket.oid = i.inhrelid
       JOIN pg_inherits j ON j.inhparent = bucket.oid
       JOIN pg_class child ON child.oid = j.inhrelid
       WHERE i.inhparent = 'ledger.transactions'::regclass
     ), leaf AS (
       SELECT bucket, oid, relname, relpartbound, NULL::text AS day FROM inside
       WHERE relkind = 'r'
       UNION ALL
       SELECT d.bucket, c.oid, c.relname, c.relpartbound, pg_get_expr(d.relpartbound, d.oid)
       FROM inside d JOIN pg_inherits i ON i.inhparent = d.oid
       JOIN pg_class c ON c.oid = i.inhrelid
       WHERE d.relkind = 'p'
     )
     SELECT leaf.bucket, relname AS leaf, pg_get_expr(relpartbound, oid) AS bounds,
       day AS "dayBounds",
       (pg_relation_size(oid) / ${pageBytes})::int AS pages,
       EXISTS (SELECT FROM pg_index i
         WHERE i.indrelid = oid AND i.indisunique AND i.indisvalid) AS "hasKey",
       l.covered_below AS below, l.leaf IS NOT NULL AS "isKnown",
       (coalesce(l.bytes, 0) / ${pageBytes})::int AS "coveredPages"
     FROM leaf LEFT JOIN ledger.rollup_leaves l ON l.leaf = relname
     WHERE ($1 OR l.leaf IS NULL OR l.covered_below IS NOT NULL)
       AND NOT EXISTS (SELECT FROM ledger.archived_days a
         WHERE a.leaf = relname AND a.archived_at IS NOT NULL)
     ORDER BY leaf.bucket, relname`,
    [all],
  )
  return rows.map(leafOf)
}

function leafOf(row: Row): Leaf {
  const { leaf, hasKey, pages, coveredPages, isKnown } = row
  const bucket = Number(/\d+$/.exec(row.bucket)?.[0])
  const kind = row.bounds !== 'DEFAULT' ? 'span' : row.dayBounds === null ? 'default' : 'rest'
  const below = isKnown ? (row.below ?? undefined) : lowestId
  const end =
    kind === 'default' ? undefined : upperBound(kind === 'rest' ? row.dayBounds : row.bounds)
  const endMs = end === undefined ? Infinity : millisecondsOf(end)
  const isRolledUp = below !== lowestId
  return { leaf, bucket, below, kind, hasKey, isRolledUp, endMs, pages, coveredPages }
}

/** `FOR VALUES FROM ('…') TO ('…')` */
function upperBound(bounds: string | null): string {
  const [, end] = /TO \('([0-9a-f-]{36})'\)/.exec(bounds ?? '') ?? []
  if (end !== undefined) return end
  const message = `Expected a leaf with an upper bound, found ${bounds}.`
  throw new LedgerError('LAYOUT_MISMATCH', message)
}

/** The first 48 bits of an id, where UUIDv7 has its Unix milliseconds. */
function millisecondsOf(id: string): number {
  return Number.parseInt(id.slice(0, 8) + id.slice(9, 13), 16)
}

/** Times of the ids on the last pages of a leaf, from a page on, in milliseconds since 1970 UTC. */
export async function newestIdTimes(
  connection: Connection,
  leaf: string,
  fromPage: number,
): Promise<number[]> {
  const rows = await connection.query<{ id: string }>(
    `SELECT id FROM ledger.${leaf} WHERE ctid >= '(${fromPage},0)'::tid`,
  )
  return rows.map(({ id }) => millisecondsOf(id))
}

/** What is not rolled up of a leaf, below an id. */
export interface Remainder {
  entries: number
  accounts: number
  /** Entries of the account that has most. */
  most: number
}

export async function remainderOf(
  connection: Connection,
  { leaf, below = lowestId }: LeafCoverage,
  high: string | undefined,
): Promise<Remainder> {
  const found = await connection.queryOne<Record<keyof Remainder, string>>(
    `SELECT coalesce(sum(n), 0) AS entries, count(*) AS accounts, coalesce(max(n), 0) AS most
     FROM (SELECT count(*) AS n FROM ledger.${leaf}
           WHERE id >= $1 AND ($2::uuid IS NULL OR id < $2) GROUP BY account_id) s`,
    [below, high ?? null],
  )
  return {
    entries: Number(found?.entries),
    accounts: Number(found?.accounts),
    most: Number(found?.most),
  }
}

/** Notes that a leaf of this size was found not worth rolling up. */
export async function noteSize(
  connection: Connection,
  { leaf, bucket, pages }: Leaf,
): Promise<void> {
  await connection.execute(
    `INSERT INTO ledger.rollup_leaves (leaf, bucket, covered_below, armed_below, bytes)
     VALUES ($1, $2, $3, $3, $4) ON CONFLICT (leaf) DO UPDATE SET bytes = excluded.bytes`,
    [leaf, bucket, lowestId, pages * pageBytes],
  )
}

/** Leaves that are rolled up by several ranges, and the day of their name. */
export async function dividedLeaves(
  connection: Connection,
): Promise<{ leaf: string; day: number; ranges: number }[]> {
  const rows = await connection.query<{ leaf: string; ranges: number }>(
    `SELECT leaf, count(*)::int AS ranges FROM ledger.rollup_ranges GROUP BY leaf
     HAVING count(*) > 1`,
  )
  return rows.map(({ leaf, ranges }) => {
    const [, year, month, day] = /_(\d{4})(\d\d)(\d\d)_/.exec(leaf) ?? []
    return { leaf, ranges, day: Date.UTC(Number(year), Number(month) - 1, Number(day)) }
  })
}

/** Ids that divide what is not rolled up of a leaf into about equal parts, ascending. */
export async function idQuantiles(
  connection: Connection,
  { leaf, below = lowestId, pages }: Leaf,
  high: string | undefined,
  parts: number,
): Promise<string[]> {
  if (parts < 2) return []
  const percent = Math.min(100, (100 * sampledPages) / pages)
  const shares = Array.from({ length: parts - 1 }, (_, index) => (index + 1) / parts)
  const found = await connection.queryOne<{ ids: string[] | null }>(
    `SELECT percentile_disc($3::float8[]) WITHIN GROUP (ORDER BY id)::text[] AS ids
     FROM ledger.${leaf} TABLESAMPLE SYSTEM (${percent})
     WHERE id > $1 AND ($2::uuid IS NULL OR id < $2)`,
    [below, high ?? null, shares],
  )
  return [...new Set(found?.ids ?? [])]
}

/** Enough for quantiles: some ten thousand entries. */
const sampledPages = 128

/** Entries of the account that has most in these ranges. */
export async function mostEntriesOf(
  connection: Connection,
  ranges: readonly Range[],
): Promise<number> {
  const found = await connection.queryOne<{ most: string | null }>(
    `SELECT max(n) AS most FROM (
       SELECT sum(count) AS n FROM ledger.rollups WHERE range = ANY ($1::int[])
       GROUP BY account_id) s`,
    [ranges.map(({ range }) => range)],
  )
  return Number(found?.most)
}
