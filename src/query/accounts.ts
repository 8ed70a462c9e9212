// GET /v1/accounts/{account_id} and POST /v1/balances: what accounts' entries add up to.
// In:  requests.
// Out: replies.
// Absent: SQL (ledger/balances.ts), the log: what was accepted a moment ago may not be here yet.

import { parseUuid } from '../bytes/uuid.ts'
import type { HttpReply, HttpRequest, Route } from '../http/http.ts'
import { problem } from '../http/problem.ts'
import { Balances, type AccountSummary, type EndEntry } from '../ledger/balances.ts'
import type { ReadDatabases } from '../ledger/read-databases.ts'
import { balanceAccountsMax, balancesBodyBytesMax } from '../limits.ts'
import { momentOf } from './moment.ts'
import { accountOf, answered, checkParameters, json, noSuchAccount, Refusal } from './request.ts'

export function accountRoutes(databases: ReadDatabases): Route[] {
  const balances = new Balances(databases)
  return [
    {
      method: 'GET',
      path: '/v1/accounts/{account_id}',
      handle: (request) => answered(() => account(balances, request)),
    },
    {
      method: 'POST',
      path: '/v1/balances',
      accepts: ['application/json'],
      handle: (request) => answered(() => manyAccounts(balances, request)),
    },
  ]
}

/**
 * Nobody opens an account here: it exists once it has an entry, and before that it is not found.
 */
async function account(balances: Balances, request: HttpRequest): Promise<HttpReply> {
  const { text, bytes } = accountOf(request)
  checkParameters(request, ['at'])
  const at = momentOf(request, 'at')
  if (at === undefined) {
    const summary = await balances.of(bytes)
    return summary === undefined ? noSuchAccount(text) : json(shown(text, summary))
  }
  const summary = await balances.at(bytes, at)
  if (summary === undefined) return noSuchAccount(text)
  return json({ ...shown(text, summary), at })
}

async function manyAccounts(balances: Balances, request: HttpRequest): Promise<HttpReply> {
  checkParameters(request, [])
  if (request.body.length > balancesBodyBytesMax) {
    const expected = `at most ${balancesBodyBytesMax} bytes`
    const found = `${request.body.length} bytes`
    return problem(413, 'Body too large', `Body: expected ${expected}, found ${found}.`, {
      expected,
      found,
    })
  }
  const accounts = accountsOf(request.body)
  const found = await balances.ofMany(accounts.map(({ bytes }) => bytes))
  return json({
    balances: accounts.map(({ text }, index) => {
      const summary = found[index]
      return summary === undefined ? null : shown(text, summary)
    }),
  })
}

const bodyExpected =
  `a JSON array of 1 to ${balanceAccountsMax} account ids, ` + 'or {"account_ids": […]}'

/** @throws Refusal that names the place */
function accountsOf(body: Uint8Array): { text: string; bytes: Uint8Array }[] {
  const found = parsed(body)
  const isObject = typeof found === 'object' && found !== null && !Array.isArray(found)
  if (isObject && Object.keys(found).join() !== 'account_ids') {
    const names = Object.keys(found).join(', ')
    throw new Refusal('Body', bodyExpected, `an object of ${names === '' ? 'nothing' : names}`)
  }
  const ids: unknown = isObject ? (found as Record<string, unknown>)['account_ids'] : found
  if (!Array.isArray(ids)) throw new Refusal('Body', bodyExpected, JSON.stringify(ids))
  if (ids.length < 1 || ids.length > balanceAccountsMax) {
    throw new Refusal('Body', bodyExpected, `${ids.length} of them`)
  }
  return (ids as unknown[]).map((id, index) => {
    const bytes = typeof id === 'string' ? parseUuid(id) : undefined
    if (typeof id !== 'string' || bytes === undefined) {
      throw new Refusal(`account_ids[${index}]`, 'a UUID', JSON.stringify(id))
    }
    return { text: id.toLowerCase(), bytes }
  })
}

function parsed(body: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body)) as unknown
  } catch {
    throw new Refusal('Body', bodyExpected, body.length === 0 ? '' : 'no JSON')
  }
}

function shown(accountId: string, summary: AccountSummary): Record<string, unknown> {
  const { balance, count, first, last, asOf } = summary
  const end = (entry: EndEntry | null) => entry && { id: entry.id, created_at: entry.createdAt }
  return {
    account_id: accountId,
    balance,
    count,
    first: end(first),
    last: end(last),
    as_of: asOf,
  }
}
