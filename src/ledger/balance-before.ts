// What an account had before an entry.
// In:  an account, and an SQL expression for an id.
// Out: an SQL expression, so that it is of the same snapshot as whatever it stands beside.
// Absent: sending it.

import { uuidLiteral } from './read-databases.ts'

/** The exact sum of the account's entries with lower ids, as numeric; 0 where there are none. */
export function balanceBeforeSql(accountId: Uint8Array, id: string): string {
  return `(SELECT coalesce(sum(amount), 0) FROM ledger.transactions
    WHERE account_id = ${uuidLiteral(accountId)} AND id < ${id})`
}
