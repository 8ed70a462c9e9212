// GET /v1/transactions/{id}: the entries of one id, over all accounts.
// In:  requests.
// Out: replies.
// Absent: SQL (ledger/transfers.ts), the log.

import { parseUuid } from '../bytes/uuid.ts'
import type { HttpReply, HttpRequest, Route } from '../http/http.ts'
import { problem } from '../http/problem.ts'
import { expectIdUnarchived } from '../ledger/archived.ts'
import type { ReadDatabases } from '../ledger/read-databases.ts'
import { entriesOfId } from '../ledger/transfers.ts'
import { uuidBytes } from '../record/layout.ts'
import { cursorOf, encodeCursor } from './cursor.ts'
import { conditionalHeaders, limitOf, pageReply } from './page.ts'
import { answered, checkParameters, entryIdOf, Refusal } from './request.ts'

export function transferRoutes(databases: ReadDatabases): Route[] {
  return [
    {
      method: 'GET',
      path: '/v1/transactions/{id}',
      headers: conditionalHeaders,
      handle: (request) => answered(() => transfer(databases.until(request.signal), request)),
    },
  ]
}

async function transfer(databases: ReadDatabases, request: HttpRequest): Promise<HttpReply> {
  const { text, bytes } = entryIdOf(request)
  checkParameters(request, ['limit', 'cursor'])
  const limit = limitOf(request)
  const listing = `id ${text}`
  const cursor = cursorOf(request, listing, ({ length }) => length === uuidBytes)
  if (cursor?.isBackward) {
    throw new Refusal('cursor', 'a next_cursor of an earlier page', 'one that leads back')
  }
  const found = await entriesOfId(databases, bytes, limit + 1, cursor?.position)
  // Looked at afterwards, so that nothing can leave in between.
  await expectIdUnarchived(databases, bytes)
  if (found.length === 0 && cursor === undefined) {
    const detail = `No account has an entry ${text} in the ledger.`
    return problem(404, 'No such transaction', detail, { id: text })
  }
  const page = found.slice(0, limit)
  const last = found.length > limit ? parseUuid(page.at(-1)?.key ?? '') : undefined
  return pageReply(
    request,
    {
      transactions: page.map(({ key, amount, createdAt }) => ({
        id: text,
        account_id: key,
        amount,
        created_at: createdAt,
      })),
    },
    {
      next: last && encodeCursor(listing, { position: last, isBackward: false }),
      previous: undefined,
    },
  )
}
