// Whether the tables of a database are what they should be: leaves, their keys, and each key once.
// In:  a connection.
// Out: findings.
// Absent: what is in the rows (bucket.ts).

import { bucketTable, bucketsOf, type Layout } from '../../ledger/buckets.ts'
import type { Connection } from '../../postgres/connection.ts'
import type { Finding } from './findings.ts'
import { keyText } from './texts.ts'

interface LeafRow {
  name: string
  isAttached: boolean
  /** Filled without a key under heavy load (ledger/open-leaves.ts). */
  mayBeOpen: boolean
  key: 'valid' | 'invalid' | 'none'
}

const leavesSql = `
  SELECT c.relname AS name, c.relispartition AS "isAttached",
    c.relname ~ '_\\d{8}_\\d{6}$' AS "mayBeOpen",
    (
      SELECT CASE WHEN count(*) = 0 THEN 'none'
        WHEN bool_or(i.indisvalid AND i.indisready) THEN 'valid' ELSE 'invalid' END
      FROM pg_index i
      WHERE i.indrelid = c.oid AND i.indisunique AND i.indpred IS NULL AND i.indexprs IS NULL
        AND i.indnatts = 2 AND pg_get_indexdef(i.indexrelid, 1, true) = 'account_id'
        AND pg_get_indexdef(i.indexrelid, 2, true) = 'id'
    ) AS key
  FROM pg_class c
  WHERE c.relnamespace = 'ledger'::regnamespace AND c.relname ~ '^transactions_b\\d+'
    AND (c.relkind = 'r' OR (c.relkind = 'p' AND NOT c.relispartition))
  ORDER BY c.relname`

export async function leafFindings(connection: Connection, layout: Layout): Promise<Finding[]> {
  const findings: Finding[] = []
  const add = (name: string, expected: string, found: string): void => {
    findings.push({ check: 'leaf', where: `ledger.${name}`, expected, found })
  }
  for (const { name, isAttached, mayBeOpen, key } of await connection.query<LeafRow>(leavesSql)) {
    if (!isAttached) add(name, 'a partition of ledger.transactions', 'it detached')
    else if (key === 'invalid') add(name, 'a valid key (account_id, id)', 'an invalid one')
    else if (key === 'none' && !mayBeOpen) add(name, 'a key (account_id, id)', 'none')
  }
  const attached = await connection.query<{ name: string }>(
    `SELECT 'ledger.' || relname AS name FROM pg_inherits JOIN pg_class ON oid = inhrelid
     WHERE inhparent = 'ledger.transactions'::regclass`,
  )
  const there = new Set(attached.map(({ name }) => name))
  for (const bucket of bucketsOf(layout)) {
    const table = bucketTable(bucket)
    if (!there.has(table)) add(table.slice(7), 'a partition of ledger.transactions', 'none')
  }
  return findings
}

const doubledMax = 101

/** Keys that are in a leaf more than once, found without trusting any index. */
export async function doubledKeys(connection: Connection, leaf: string): Promise<Finding[]> {
  const results = await connection.script(`
    BEGIN READ ONLY;
    SET LOCAL enable_indexscan = off;
    SET LOCAL enable_indexonlyscan = off;
    SET LOCAL enable_bitmapscan = off;
    SET LOCAL work_mem = '64MB';
    SELECT account_id AS "accountId", id, count(*) AS count FROM ${leaf}
    GROUP BY account_id, id HAVING count(*) > 1 LIMIT ${doubledMax};
    COMMIT`)
  const rows = results.at(-2)?.rows as { accountId: string; id: string; count: string }[]
  return rows.map((row) => {
    const where = `${keyText(row)}, in ${leaf}`
    return { check: 'key doubled', where, expected: 'one row', found: row.count }
  })
}
