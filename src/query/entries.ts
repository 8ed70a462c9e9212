// GET /v1/accounts/{account_id}/transactions: an account's entries, page by page.
// In:  requests.
// Out: replies.
// Absent: SQL (ledger/entries.ts), the log: what was accepted a moment ago may not be here yet.

import { parseUuid } from '../bytes/uuid.ts'
import type { HttpReply, HttpRequest, Route } from '../http/http.ts'
import { accountEntries } from '../ledger/entries.ts'
import type { ReadDatabases } from '../ledger/read-databases.ts'
import { decodeCursor, encodeCursor } from './cursor.ts'
import {
  accountOf,
  answered,
  checkParameters,
  json,
  noSuchAccount,
  Refusal,
  wholeNumberOf,
} from './request.ts'

const limitDefault = 100
const limitMax = 1000

export function entryRoutes(databases: ReadDatabases): Route[] {
  return [
    {
      method: 'GET',
      path: '/v1/accounts/{account_id}/transactions',
      handle: (request) => answered(() => transactions(databases.until(request.signal), request)),
    },
  ]
}

/** Newest first, by id: UUIDv7 ids sort by time. `next_cursor` is null on the last page. */
async function transactions(databases: ReadDatabases, request: HttpRequest): Promise<HttpReply> {
  const { text, bytes } = accountOf(request)
  checkParameters(request, ['limit', 'cursor'])
  const limit = wholeNumberOf(request, 'limit', limitDefault, limitMax)
  const before = cursorOf(request)
  // One more than asked for tells whether there is a next page.
  const found = await accountEntries(databases, bytes, limit + 1, before)
  if (found.length === 0 && before === undefined) return noSuchAccount(text)
  const page = found.slice(0, limit)
  const last = found.length > limit ? parseUuid(page.at(-1)?.id ?? '') : undefined
  return json({
    transactions: page.map(({ id, amount, createdAt }) => ({
      id,
      account_id: text,
      amount,
      created_at: createdAt,
    })),
    next_cursor: last === undefined ? null : encodeCursor(last),
  })
}

function cursorOf({ query }: HttpRequest): Uint8Array | undefined {
  const found = query.get('cursor')
  if (found === null) return undefined
  const id = decodeCursor(found)
  if (id === undefined) throw new Refusal('cursor', 'a next_cursor of an earlier page', found)
  return id
}
