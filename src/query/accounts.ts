// GET /v1/accounts/{account_id}: what an account's entries add up to.
// In:  requests.
// Out: replies.
// Absent: SQL (ledger/accounts.ts), the log: what was accepted a moment ago may not be here yet.

import type { HttpReply, HttpRequest, Route } from '../http/http.ts'
import { accountSummary } from '../ledger/accounts.ts'
import type { ReadDatabases } from '../ledger/read-databases.ts'
import { accountOf, answered, checkParameters, json, noSuchAccount } from './request.ts'

export function accountRoutes(databases: ReadDatabases): Route[] {
  return [
    {
      method: 'GET',
      path: '/v1/accounts/{account_id}',
      handle: (request) => answered(() => account(databases.until(request.signal), request)),
    },
  ]
}

/**
 * Nobody opens an account here: it exists once it has an entry, and before that it is not found.
 */
async function account(databases: ReadDatabases, request: HttpRequest): Promise<HttpReply> {
  const { text, bytes } = accountOf(request)
  checkParameters(request, [])
  const summary = await accountSummary(databases, bytes)
  if (summary === undefined) return noSuchAccount(text)
  return json({
    account_id: text,
    balance: summary.balance,
    count: summary.count,
    as_of: summary.asOf,
  })
}
