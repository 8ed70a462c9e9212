// GET /v1/accounts/{account_id} and POST /v1/balances: what accounts' entries add up to.
// In:  requests.
// Out: replies.
// Absent: SQL (ledger/balances.ts), the log: what was accepted a moment ago may not be here yet.

import { setTimeout as delay } from 'node:timers/promises'
import { parseUuid } from '../bytes/uuid.ts'
import type { HttpReply, HttpRequest, Route } from '../http/http.ts'
import { problem } from '../http/problem.ts'
import { Balances, type AccountSummary, type EndEntry, type Wish } from '../ledger/balances.ts'
import { partitionOfAccount, type ReadDatabases } from '../ledger/read-databases.ts'
import { balanceAccountsMax, balancesBodyBytesMax } from '../limits.ts'
import type { Receipts } from '../receipt/receipt.ts'
import { momentOf } from './moment.ts'
import type { Persistence } from './persistence.ts'
import { foreignReceipt, noReceiptKey, receiptOf, waitOf } from './receipts.ts'
import { accountOf, answered, checkParameters, json, noSuchAccount, Refusal } from './request.ts'

export interface AccountRoutesOptions {
  databases: ReadDatabases
  persistence: Persistence
  /** Undefined: this process was given no key to read receipts with. */
  receipts: Receipts | undefined
}

export function accountRoutes(options: AccountRoutesOptions): Route[] {
  const balances = new Balances(options.databases)
  return [
    {
      method: 'GET',
      path: '/v1/accounts/{account_id}',
      handle: (request) => answered(() => account(options, balances, request)),
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
async function account(
  options: AccountRoutesOptions,
  balances: Balances,
  request: HttpRequest,
): Promise<HttpReply> {
  const { text, bytes } = accountOf(request)
  checkParameters(request, ['at', 'receipt', 'wait'])
  const wish = { signal: request.signal, at: momentOf(request, 'at') }
  const summary = request.query.has('receipt')
    ? await afterReceipt(options, balances, request, bytes, wish)
    : await withoutReceipt(balances, request, bytes, wish)
  if (summary === undefined) return noSuchAccount(text)
  if ('status' in summary) return summary
  return json({ ...shown(text, summary), ...(wish.at === undefined ? {} : { at: wish.at }) })
}

async function withoutReceipt(
  balances: Balances,
  { query }: HttpRequest,
  accountId: Uint8Array,
  wish: Wish,
): Promise<AccountSummary | undefined> {
  const wait = query.get('wait')
  if (wait !== null) throw new Refusal('wait', 'a receipt to wait for', wait)
  return balances.of(accountId, wish)
}

/** Once what the receipt names of the account's partition of the log is persisted. */
async function afterReceipt(
  { persistence, receipts }: AccountRoutesOptions,
  balances: Balances,
  request: HttpRequest,
  accountId: Uint8Array,
  wish: Wish,
): Promise<AccountSummary | HttpReply | undefined> {
  if (receipts === undefined) return noReceiptKey
  const receipt = receiptOf(receipts, request.query.get('receipt') ?? '')
  const waitMs = waitOf(request)
  const partition = partitionOfAccount(accountId)
  const records = receipt.records.get(partition)
  // Nothing of the account was in that request.
  if (records === undefined) return balances.of(accountId, wish)
  const until = performance.now() + waitMs
  const leave = persistence.enter()
  try {
    const own = { ...receipt, records: new Map([[partition, records]]) }
    const { kind } = await persistence.wait(own, waitMs, request.signal)
    if (kind === 'foreign') return foreignReceipt()
    if (kind !== 'persisted') return notPersisted(waitMs)
    // The server that answers may be another than the one that said so.
    const floor = { partition, nextOffset: records.offset + 1 }
    for (;;) {
      const summary = await balances.of(accountId, wish, floor)
      if (summary !== 'behind') return summary
      if (performance.now() >= until || request.signal.aborted) return notPersisted(waitMs)
      await delay(lookAgainMs, undefined, { signal: request.signal }).catch(() => undefined)
    }
  } finally {
    leave()
  }
}

const lookAgainMs = 50

function notPersisted(waitMs: number): HttpReply {
  const expected = `the receipt persisted within ${waitMs} ms (wait)`
  const found = 'some of it not persisted yet'
  const reply = problem(
    409,
    'Not persisted yet',
    `receipt: expected ${expected}, found ${found}.`,
    {
      field: 'receipt',
      expected,
      found,
    },
  )
  return { ...reply, headers: { ...reply.headers, 'Retry-After': '1' } }
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
  const found = await balances.ofMany(
    accounts.map(({ bytes }) => bytes),
    { signal: request.signal },
  )
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
  if (!Array.isArray(ids)) throw new Refusal('Body', bodyExpected, shownJson(ids))
  if (ids.length < 1 || ids.length > balanceAccountsMax) {
    throw new Refusal('Body', bodyExpected, `${ids.length} of them`)
  }
  return (ids as unknown[]).map((id, index) => {
    const bytes = typeof id === 'string' ? parseUuid(id) : undefined
    if (typeof id !== 'string' || bytes === undefined) {
      throw new Refusal(`account_ids[${index}]`, 'a UUID', shownJson(id))
    }
    return { text: id.toLowerCase(), bytes }
  })
}

/** What nests may do so deeper than JSON.stringify() can follow. */
function shownJson(value: unknown): string {
  if (typeof value !== 'object' || value === null) return JSON.stringify(value)
  return Array.isArray(value) ? 'an array' : 'an object'
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
