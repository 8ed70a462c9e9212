// The leaves of a database as roll-ups see them: which there are, how far they are rolled up, and
// what is being written to them.
// In:  a connection.
// Out: leaves with their bounds and sizes; ids written last; whether rolling up pays.
// Absent: rolling up (rollups.ts), when to do it (worker/roller.ts).

import { LedgerError } from '../errors.ts'
import type { Connection } from '../postgres/connection.ts'
import { bucketsOf, bucketTable } from './buckets.ts'
import { readLayout } from './migrate.ts'
import { lowestId, type LeafCoverage } from './rollups.ts'

export interface Leaf extends LeafCoverage {
  kind: 'default' | 'rest' | 'span'
  hasKey: boolean
  /** Ids of the leaf are lower, in milliseconds since 1970 UTC; Infinity for the default leaf. */
  endMs: number
  pages: number
  /** Size when it was rolled up last. */
  coveredPages: number
  /** Ranges it is rolled up by. */
  ranges: number
}

interface Row {
  leaf: string
  day: string
  hasKey: boolean
  bounds: string
  dayBounds: string | null
  pages: number
  below: string | null
  isKnown: boolean
  coveredPages: number
  ranges: number
}

const pageBytes = 8192

/** All leaves of a database that are not rolled up as a whole; `all` adds those that are. */
export async function leavesOf(connection: Connection, all = false): Promise<Leaf[]> {
  const layout = await readLayout(connection)
  const leaves: Leaf[] = []
  for (const bucket of bucketsOf(layout)) {
    const rows = await connection.query<Row>(
      `SELECT c.relname AS leaf, pg_get_expr(c.relpartbound, c.oid) AS bounds,
         pg_get_expr(d.relpartbound, d.oid) AS "dayBounds",
         (pg_relation_size(c.oid) / ${pageBytes})::int AS pages,
         EXISTS (SELECT FROM pg_index i
           WHERE i.indrelid = c.oid AND i.indisunique AND i.indisvalid) AS "hasKey",
         l.covered_below AS below, l.leaf IS NOT NULL AS "isKnown",
         (coalesce(l.bytes, 0) / ${pageBytes})::int AS "coveredPages",
         (SELECT count(*)::int FROM ledger.rollup_ranges r WHERE r.leaf = c.relname) AS ranges
       FROM pg_partition_tree($1::regclass) t
       JOIN pg_class c ON c.oid = t.relid
       LEFT JOIN pg_class d ON d.oid = t.parentrelid AND t.level = 2
       LEFT JOIN ledger.rollup_leaves l ON l.leaf = c.relname
       WHERE t.isleaf AND ($2 OR l.leaf IS NULL OR l.covered_below IS NOT NULL)
       ORDER BY leaf`,
      [bucketTable(bucket), all],
    )
    for (const row of rows) leaves.push(leafOf(bucket, row))
  }
  return leaves
}

function leafOf(bucket: number, row: Row): Leaf {
  const { leaf, hasKey, pages, coveredPages, ranges, isKnown } = row
  const kind = row.bounds !== 'DEFAULT' ? 'span' : row.dayBounds === null ? 'default' : 'rest'
  const below = isKnown ? (row.below ?? undefined) : lowestId
  const end = kind === 'default' ? undefined : upperBound(kind === 'rest' ? row.dayBounds : row.bounds)
  const endMs = end === undefined ? Infinity : millisecondsOf(end)
  return { leaf, bucket, below, kind, hasKey, endMs, pages, coveredPages, ranges }
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
