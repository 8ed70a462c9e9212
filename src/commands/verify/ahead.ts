// Rows and checkpoints past all that windows are made of.
// In:  a connection.
// Out: findings.
// Absent: what lies below the checkpoints (bucket.ts).

import { leavesSelect } from '../../ledger/chain/read.ts'
import { sinceEpoch } from '../../ledger/checkpoint.ts'
import type { Moment } from '../../ledger/moment.ts'
import type { Connection } from '../../postgres/connection.ts'
import { partitionCount } from '../../record/layout.ts'
import type { Finding } from './findings.ts'
import { keyText, timeText, type Key } from './texts.ts'

interface Row extends Key {
  amount: string
  at: string
  last: string | null
}

const rowsMax = 101

/**
 * Rows younger than the checkpoint of their partition, in one snapshot: a flush brings both.
 *
 * @param after up to where rows have been looked at
 */
export async function rowsAhead(
  connection: Connection,
  leaves: readonly string[],
  after: Moment,
): Promise<Finding[]> {
  const columns = 'account_id, id, amount, created_at'
  const rows = await connection.query<Row>(
    `SELECT r.account_id AS "accountId", r.id, r.amount, ${sinceEpoch('r.created_at')} AS at,
       CASE WHEN isfinite(c.last_created_at) THEN ${sinceEpoch('c.last_created_at')} END AS last
     FROM (${leavesSelect(leaves, columns, after, Infinity)}) r
     LEFT JOIN ledger.checkpoints c ON satisfies_hash_partition(
       'ledger.transactions'::regclass, ${partitionCount}, c.partition, r.account_id)
     WHERE c.last_created_at IS NULL OR r.created_at > c.last_created_at LIMIT ${rowsMax}`,
  )
  return rows.map((row) => {
    const last = row.last === null ? -Infinity : Number(row.last)
    const expected = `no row created after ${timeText(last)}, where its checkpoint is`
    const found = `one of amount ${row.amount} created at ${timeText(Number(row.at))}`
    return { check: 'row ahead', where: keyText(row), expected, found }
  })
}
