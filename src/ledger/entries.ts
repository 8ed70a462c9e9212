// Entries of an account, in the order of their ids.
// In:  account and entry ids, validated.
// Out: entries; amounts as exact decimal text.
// Absent: HTTP, cursors as clients see them (query/), the log.

import assert from 'node:assert/strict'
import { uuidLiteral, utc, type ReadDatabases } from './read-databases.ts'

export interface AccountEntry {
  /** Lower-case UUID. */
  id: string
  amount: string
  /** RFC 3339, UTC, when the entry was accepted into the log. */
  createdAt: string
}

/** Up to `limit` entries by descending id, those below `before` where it is given. */
export async function accountEntries(
  databases: ReadDatabases,
  accountId: Uint8Array,
  limit: number,
  before?: Uint8Array,
): Promise<AccountEntry[]> {
  assert(Number.isSafeInteger(limit) && limit > 0)
  const below = before === undefined ? '' : `AND id < ${uuidLiteral(before)}`
  const pool = await databases.poolOf(accountId)
  return pool.read<AccountEntry>(`
    SELECT id, amount::text, ${utc('created_at')} AS "createdAt"
    FROM ledger.transactions WHERE account_id = ${uuidLiteral(accountId)} ${below}
    ORDER BY id DESC LIMIT ${limit}`)
}
