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
import { cursorOf, encodeCursor } from './cursor.ts'
import { conditionalHeaders, neighboursOf, pageReply, revalidated } from './page.ts'
import {
  accountOf,
  answered,
  checkParameters,
  choiceOf,
  entryIdOf,
  noSuchAccount,
  wholeNumberOf,
} from './request.ts'
import { idSpanOf } from './span.ts'

const limitDefault = 100
const limitMax = 1000

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
  const limit = wholeNumberOf(request, 'limit', limitDefault, limitMax)
  const withBalance = choiceOf(request, 'running_balance', ['true', 'false'], 'false') === 'true'
  const span = idSpanOf(request)
  const bounds = [span.from, span.to].map((id) => (id === undefined ? '' : formatUuid(id)))
  const listing = ['entries', text, order, ...bounds].join(' ')
  const cursor = cursorOf(request, listing, ({ length }) => length === uuidBytes)
  const beside = cursor && { id: cursor.position, isBackward: cursor.isBackward }
  const page = { accountId, order, ...span, ...(beside ? { beside } : {}), limit, withBalance }
  const { entries, hasMore } = await accountEntries(databases, page)
  if (entries.length === 0 && cursor === undefined) {
    const isFiltered = span.from !== undefined || span.to !== undefined
    if (!isFiltered || !(await hasEntries(databases, accountId))) return noSuchAccount(text)
  }
  const { hasNext, hasPrevious } = neighboursOf(cursor, hasMore)
  const cursorAt = (entry: AccountEntry | undefined, isBackward: boolean): string | undefined => {
    const position = entry && parseUuid(entry.id)
    return position && encodeCursor(listing, { position, isBackward })
  }
  return pageReply(
    request,
    { transactions: entries.map((entry) => shown(text, entry)) },
    {
      next: hasNext ? cursorAt(entries.at(-1), false) : undefined,
      previous: hasPrevious ? cursorAt(entries.at(0), true) : undefined,
    },
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
