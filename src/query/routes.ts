// The read API: accounts and their entries, as JSON.
// In:  GET requests.
// Out: replies; problem documents that name the field, what was expected and what was found.
// Absent: SQL (ledger/queries.ts), the log: what was accepted a moment ago may not be here yet.

import { parseUuid } from '../bytes/uuid.ts'
import type { HttpReply, HttpRequest, Route } from '../http/http.ts'
import { problem } from '../http/problem.ts'
import type { LedgerReader } from '../ledger/queries.ts'
import { decodeCursor, encodeCursor } from './cursor.ts'

const limitDefault = 100
const limitMax = 1000

export function queryRoutes(reader: LedgerReader): Route[] {
  return [
    {
      method: 'GET',
      path: '/v1/accounts/{account_id}',
      handle: (request) => answered(() => account(reader, request)),
    },
    {
      method: 'GET',
      path: '/v1/accounts/{account_id}/transactions',
      handle: (request) => answered(() => transactions(reader, request)),
    },
  ]
}

/**
 * Nobody opens an account here: it exists once it has an entry, and before that it is not found.
 */
async function account(reader: LedgerReader, request: HttpRequest): Promise<HttpReply> {
  const { text, bytes } = accountOf(request)
  checkParameters(request, [])
  const summary = await reader.summary(bytes)
  if (summary === undefined) return noSuchAccount(text)
  return json({
    account_id: text,
    balance: summary.balance,
    count: summary.count,
    as_of: summary.asOf,
  })
}

/** Newest first, by id: UUIDv7 ids sort by time. `next_cursor` is null on the last page. */
async function transactions(reader: LedgerReader, request: HttpRequest): Promise<HttpReply> {
  const { text, bytes } = accountOf(request)
  checkParameters(request, ['limit', 'cursor'])
  const limit = limitOf(request)
  const before = cursorOf(request)
  // One more than asked for tells whether there is a next page.
  const found = await reader.entries(bytes, limit + 1, before)
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

function accountOf({ parameters: [found = ''] }: HttpRequest): { text: string; bytes: Uint8Array } {
  const bytes = parseUuid(found)
  if (bytes === undefined) throw new Refusal('account_id', 'a UUID', found)
  return { text: found.toLowerCase(), bytes }
}

function limitOf({ query }: HttpRequest): number {
  const found = query.get('limit')
  if (found === null) return limitDefault
  const limit = /^[1-9][0-9]{0,3}$/.test(found) ? Number(found) : 0
  if (limit < 1 || limit > limitMax) {
    throw new Refusal('limit', `a whole number from 1 to ${limitMax}`, found)
  }
  return limit
}

function cursorOf({ query }: HttpRequest): Uint8Array | undefined {
  const found = query.get('cursor')
  if (found === null) return undefined
  const id = decodeCursor(found)
  if (id === undefined) throw new Refusal('cursor', 'a next_cursor of an earlier page', found)
  return id
}

function checkParameters({ query }: HttpRequest, known: readonly string[]): void {
  const expected = known.length === 0 ? 'no query parameters' : `only ${known.join(' and ')}`
  for (const name of query.keys()) {
    if (!known.includes(name)) throw new Refusal(name, expected, 'an unknown query parameter')
    const times = query.getAll(name).length
    if (times > 1) throw new Refusal(name, 'it once at most', `it ${times} times`)
  }
}

/** A request that cannot be answered as it is. */
class Refusal extends Error {
  readonly reply: HttpReply

  constructor(field: string, expected: string, found: string) {
    // What a client sends is shown back to it, but not at any length.
    const shown = found.length > 100 ? `${found.slice(0, 100)}…` : found
    const detail = `${field}: expected ${expected}, found ${shown === '' ? 'nothing' : shown}.`
    super(detail)
    this.reply = problem(400, 'Invalid request', detail, { field, expected, found: shown })
  }
}

async function answered(answer: () => Promise<HttpReply>): Promise<HttpReply> {
  try {
    return await answer()
  } catch (error) {
    if (error instanceof Refusal) return error.reply
    throw error
  }
}

function noSuchAccount(accountId: string): HttpReply {
  const detail = `Account ${accountId} has no entries in the ledger.`
  return problem(404, 'No such account', detail, { account_id: accountId })
}

function json(body: Record<string, unknown>): HttpReply {
  return { status: 200, contentType: 'application/json', body: JSON.stringify(body) }
}
