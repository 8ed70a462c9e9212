// What an account's entries add up to.
// In:  account ids, validated.
// Out: sums as exact decimal text.
// Absent: HTTP, the log.

import { asOf, uuidLiteral, type ReadDatabases } from './read-databases.ts'

/** All that an account's entries add up to, as of one instant. */
export interface AccountSummary {
  /** Exact; may exceed an int64. */
  balance: string
  /** Entries. */
  count: string
  /** RFC 3339, UTC, when PostgreSQL looked, or how far the replica that did had come. */
  asOf: string
}

/** `undefined` when the account has no entry. */
export async function accountSummary(
  databases: ReadDatabases,
  accountId: Uint8Array,
): Promise<AccountSummary | undefined> {
  const pool = await databases.poolOf(accountId)
  const rows = await pool.read<AccountSummary>(`
    SELECT sum(amount)::text AS balance, count(*)::text AS count, ${asOf} AS "asOf"
    FROM ledger.transactions WHERE account_id = ${uuidLiteral(accountId)}`)
  return rows.find(({ count }) => count !== '0')
}
