// GET /v1/accounts/{account_id}/transactions: an account's entries, page by page, and each by
// itself.
// In:  requests.
// Out: replies.
// Absent: SQL (ledger/entries.ts), the log: what was accepted a moment ago may not be here yet.

import { formatUuid, parseUuid } from '../bytes/uuid.ts'
import type { HttpReply, HttpRequest, Route } from '../http/http.ts'
import { problem } from '../http/problem.ts'
import { accountEntries, accountEntry, hasEntries, type AccountEntry } from '../ledger/entries.ts'
import type { ReadDatabases } from '../ledger/read-databases.ts'
import { uuidBytes } from '../record/layout.ts'
import { cursorOf } from './cursor.ts'
import { conditionalHeaders, limitOf, cursorsBeside, pageReply, revalidated } from './page.ts'
import {
  accountOf,
  answered,
  checkParameters,
  choiceOf,
  entryIdOf,
  noSuchAccount,
} from './request.ts'
import { idSpanOf } from './span.ts'

export function entryRoutes(databases: ReadDatabases): Route[] {
  return [
    {
      method: 'GET',
      path: '/v1/accounts/{account_id}/transactions',
      headers: conditionalHeaders,
      handle: (request) => answered(() => transactions(databases.until(request.signal), request)),
    },
    {
      method: 'GET',
      path: '/v1/accounts/{account_id}/transactions/{id}',
      headers: conditionalHeaders,
      handle: (request) => answered(() => transaction(databases.until(request.signal), request)),
    },
  ]
}

const known = ['order', 'from', 'to', 'limit', 'cursor', 'running_balance'] as const

/** By id, newest first unless asked otherwise: UUIDv7 ids sort by time. */
async function transactions(databases: ReadDatabases, request: HttpRequest): Promise<HttpReply> {
  const { text, bytes: accountId } = accountOf(request)
  checkParameters(request, known)
  const order = choiceOf(request, 'order', ['asc', 'desc'], 'desc')
  const limit = limitOf(request)
  const withBalance = choiceOf(request, 'running_balance', ['true', 'false'], 'false') === 'true'
  const span = idSpanOf(request)
  const bounds = [span.from, span.to].map((id) => (id === undefined ? '' : formatUuid(id)))
  const listing = ['entries', text, order, ...bounds].join(' ')
  const cursor = cursorOf(request, listing, ({ length }) => length === uuidBytes)
  const beside = cursor && { id: cursor.position, isBackward: cursor.isBackward }
  const page = { accountId, order, ...span, ...(beside ? { beside } : {}), limit, withBalance }
  const { entries, hasMore, archived } = await accountEntries(databases, page)
  if (entries.length === 0 && archived.length === 0 && cursor === undefined) {
    const isFiltered = span.from !== undefined || span.to !== undefined
    if (!isFiltered || !(await hasEntries(databases, accountId))) return noSuchAccount(text)
  }
  return pageReply(
    request,
    {
      transactions: entries.map((entry) => shown(text, entry)),
      ...(archived.length === 0 ? {} : { archived }),
    },
    cursorsBeside(listing, cursor, hasMore, entries, ({ id }) => parseUuid(id)),
  )
}

async function transaction(databases: ReadDatabases, request: HttpRequest): Promise<HttpReply> {
  const { text, bytes: accountId } = accountOf(request)
  const { text: idText, bytes: id } = entryIdOf(request)
  checkParameters(request, [])
  const entry = await accountEntry(databases, accountId, id)
  if (entry !== undefined) return revalidated(request, JSON.stringify(shown(text, entry)))
  const detail = `Account ${text} has no entry ${idText} in the ledger.`
  return problem(404, 'No such transaction', detail, { account_id: text, id: idText })
}

function shown(accountId: string, entry: AccountEntry): Record<string, unknown> {
  const { id, amount, createdAt, runningBalance } = entry
  return {
    id,
    account_id: accountId,
    amount,
    created_at: createdAt,
    ...(runningBalance === undefined ? {} : { running_balance: runningBalance }),
  }
}
