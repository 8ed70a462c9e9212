// GET /v1/conflicts: entries that were refused after their acknowledgement.
// In:  requests.
// Out: replies.
// Absent: SQL (ledger/conflicts.ts).

import { parseUuid } from '../bytes/uuid.ts'
import type { HttpReply, HttpRequest, Route } from '../http/http.ts'
import { conflictsPage, isConflictKey, type Conflict } from '../ledger/conflicts.ts'
import type { ReadDatabases } from '../ledger/read-databases.ts'
import { cursorOf } from './cursor.ts'
import { conditionalHeaders, limitOf, cursorsBeside, pageReply } from './page.ts'
import { answered, checkParameters, choiceOf, Refusal } from './request.ts'
import { timesOf } from './span.ts'

export function conflictRoutes(databases: ReadDatabases): Route[] {
  return [
    {
      method: 'GET',
      path: '/v1/conflicts',
      headers: conditionalHeaders,
      handle: (request) => answered(() => conflicts(databases.until(request.signal), request)),
    },
  ]
}

const known = ['account_id', 'from', 'to', 'order', 'limit', 'cursor'] as const

/**
 * By the time they were detected, newest first unless asked otherwise. A flush has the time of its
 * beginning, so one that takes longer may yet put some before the newest.
 */
async function conflicts(databases: ReadDatabases, request: HttpRequest): Promise<HttpReply> {
  checkParameters(request, known)
  const accountId = accountFilterOf(request)
  const times = timesOf(request)
  const order = choiceOf(request, 'order', ['asc', 'desc'], 'desc')
  const limit = limitOf(request)
  const account = request.query.get('account_id')?.toLowerCase() ?? ''
  const listing = ['conflicts', account, order, times.from ?? '', times.to ?? ''].join(' ')
  const cursor = cursorOf(request, listing, (bytes) => isConflictKey(textOf(bytes)))
  const isBackward = cursor?.isBackward ?? false
  const found = await conflictsPage(databases, {
    ...(accountId ? { accountId } : {}),
    ...times,
    isAscending: (order === 'asc') !== isBackward,
    ...(cursor ? { past: textOf(cursor.position) } : {}),
    limit: limit + 1,
  })
  const page = found.slice(0, limit)
  if (isBackward) page.reverse()
  return pageReply(
    request,
    { conflicts: page.map(shown) },
    cursorsBeside(listing, cursor, found.length > limit, page, ({ key }) => Buffer.from(key)),
  )
}

function accountFilterOf({ query }: HttpRequest): Uint8Array | undefined {
  const found = query.get('account_id')
  if (found === null) return undefined
  const bytes = parseUuid(found)
  if (bytes === undefined) throw new Refusal('account_id', 'a UUID', found)
  return bytes
}

function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('latin1')
}

function shown(one: Conflict): Record<string, unknown> {
  return {
    account_id: one.accountId,
    id: one.id,
    amount: one.amount,
    recorded_amount: one.recordedAmount,
    created_at: one.createdAt,
    detected_at: one.detectedAt,
  }
}
