// Compares roll-ups with the entries they stand for.
// In:  a connection; the ledger may be written to meanwhile.
// Out: where the two differ, leaf by leaf, each in one snapshot.
// Absent: repairing (rollups.ts makes them anew).

import type { Connection } from '../postgres/connection.ts'
import { lowestId } from './rollups.ts'

export interface RollupFault {
  leaf: string
  accountId: string
  /** What the entries say: count, sum, first and last id and time, earliest and latest time. */
  expected: string | null
  /** What roll-ups and deltas say. */
  found: string | null
}

const faultsPerLeafMax = 100

/**
 * Everything that is not as it should be; at most a hundred faults a leaf. Of archived days only
 * their files could tell.
 */
export async function checkRollups(connection: Connection): Promise<RollupFault[]> {
  const faults = await rangeFaults(connection)
  for (const leaf of await rolledUpLeaves(connection)) {
    faults.push(...(await leafFaults(connection, leaf)))
  }
  return faults
}

/** Leaves that roll-ups know of; some may not be there any more. */
export async function rolledUpLeaves(connection: Connection): Promise<string[]> {
  const leaves = await connection.query<{ leaf: string }>(
    `SELECT leaf FROM ledger.rollup_leaves WHERE leaf NOT IN (
       SELECT leaf FROM ledger.archived_days WHERE archived_at IS NOT NULL) ORDER BY leaf`,
  )
  return leaves.map(({ leaf }) => leaf)
}

export function leafFaults(connection: Connection, leaf: string): Promise<RollupFault[]> {
  return connection.query<RollupFault>(leafSql(leaf), [leaf])
}

/** One statement, so one snapshot, in which how far the leaf is covered is looked up as well. */
function leafSql(leaf: string): string {
  const ends = (order: string, id: string, at: string): string =>
    `(array_agg(${id} ORDER BY ${id} ${order}))[1], (array_agg(${at} ORDER BY ${id} ${order}))[1]`
  return `
    WITH state AS (SELECT covered_below AS below FROM ledger.rollup_leaves WHERE leaf = $1),
    expected AS (
      SELECT account_id, concat_ws(' ', count(*), sum(amount),
        ${ends('ASC', 'id', 'created_at')}, ${ends('DESC', 'id', 'created_at')},
        min(created_at), max(created_at)) AS text
      FROM ledger.${leaf}, state WHERE below IS NULL OR id < below GROUP BY account_id
    ), parts AS (
      SELECT u.account_id, count, sum, first_id, first_at, last_id, last_at, earliest, latest
      FROM ledger.rollups u JOIN ledger.rollup_ranges r USING (range) WHERE r.leaf = $1
      UNION ALL
      SELECT account_id, 1, amount, id, created_at, id, created_at, created_at, created_at
      FROM ledger.rollup_deltas, state WHERE leaf = $1 AND (below IS NULL OR id < below)
    ), found AS (
      SELECT account_id, concat_ws(' ', sum(count), sum(sum),
        ${ends('ASC', 'first_id', 'first_at')}, ${ends('DESC', 'last_id', 'last_at')},
        min(earliest), max(latest)) AS text
      FROM parts GROUP BY account_id
    )
    SELECT $1 AS leaf, account_id AS "accountId", expected.text AS expected, found.text AS found
    FROM expected FULL JOIN found USING (account_id)
    WHERE expected.text IS DISTINCT FROM found.text ORDER BY account_id LIMIT ${faultsPerLeafMax}`
}

interface RangeRow {
  leaf: string
  below: string | null
  lows: string[] | null
  highs: (string | null)[] | null
}

/** Ranges must follow each other without gap from the lowest id to what is covered. */
export async function rangeFaults(connection: Connection): Promise<RollupFault[]> {
  const rows = await connection.query<RangeRow>(`
    SELECT l.leaf, l.covered_below AS below,
      array_agg(r.low::text ORDER BY r.low) FILTER (WHERE r.leaf IS NOT NULL) AS lows,
      array_agg(r.high::text ORDER BY r.low) FILTER (WHERE r.leaf IS NOT NULL) AS highs
    FROM ledger.rollup_leaves l LEFT JOIN ledger.rollup_ranges r USING (leaf) GROUP BY l.leaf`)
  return rows.flatMap(({ leaf, below, lows, highs }) => {
    const expected = [lowestId, ...(highs ?? [])].join(' ')
    const found = [...(lows ?? []), below].join(' ')
    return expected === found ? [] : [{ leaf, accountId: '', expected, found }]
  })
}
