// The entries of one id, over all accounts.
// In:  an id, validated.
// Out: entries in the order of their accounts.
// Absent: HTTP. An index on ids: leaves have a BRIN, which costs writers nothing (decision 0021).

import { mergedRows } from './merged.ts'
import { uuidLiteral, utc, type ReadDatabases } from './read-databases.ts'

export interface TransferEntry {
  /** Account. */
  key: string
  amount: string
  createdAt: string
}

/**
 * Up to `limit` entries, those of accounts past `after` where it is given. For a UUIDv7 only the
 * leaves of its time are looked at; for others, all of the default leaves.
 */
export function entriesOfId(
  databases: ReadDatabases,
  id: Uint8Array,
  limit: number,
  after?: Uint8Array,
): Promise<TransferEntry[]> {
  const past = after === undefined ? '' : `AND account_id > ${uuidLiteral(after)}`
  const select = `
    SELECT account_id AS key, amount::text, ${utc('created_at')} AS "createdAt"
    FROM ledger.transactions WHERE id = ${uuidLiteral(id)} ${past}
    ORDER BY account_id LIMIT ${limit}`
  return mergedRows(databases, select, limit, true)
}
