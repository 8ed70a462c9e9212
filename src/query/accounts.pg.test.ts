import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { WholeReply } from '../http/http.ts'
import { databaseOf, type Layout } from '../ledger/buckets.ts'
import { readCheckpoints } from '../ledger/checkpoint.ts'
import { commitFlush } from '../ledger/commit.ts'
import { ReadDatabases } from '../ledger/read-databases.ts'
import { balanceAccountsMax, balancesBodyBytesMax } from '../limits.ts'
import { createReceipts, type Receipts } from '../receipt/receipt.ts'
import { claimAll, createTestLedger, flushOf, testLog, withConnection } from '../testing/ledger.ts'
import { startTestPostgres, type TestPostgres } from '../testing/postgres.ts'
import { idAt, partitionOfAccount, type Entry } from '../testing/rows.ts'
import { accountRoutes } from './accounts.ts'
import { Persistence } from './persistence.ts'

const buckets = 4
const now = Date.now()
let server: TestPostgres
let databases: ReadDatabases
const databaseUrls: string[] = []

/** Ten accounts of three entries each, a second apart; the id of the second is a day old. */
const accounts = Array.from({ length: 10 }, () => crypto.randomUUID())
const entriesOf = (accountId: string): Entry[] =>
  [0, 1, 2].map((second) => {
    const createdAt = now - 10_000 + second * 1000
    const id = idAt(second === 1 ? createdAt - 86_400_000 : createdAt)
    return { accountId, id, amount: 2n ** 62n + BigInt(second), createdAt }
  })
const entries = new Map<string, Entry[]>(
  accounts.map((accountId) => [accountId, entriesOf(accountId)]),
)

before(async () => {
  server = await startTestPostgres()
  for (const databaseIndex of [0, 1]) {
    const layout: Layout = { buckets, databases: 2, databaseIndex }
    const url = await createTestLedger(server, layout)
    databaseUrls.push(url)
    await withConnection(url, async (connection) => {
      const checkpoints = await claimAll(connection, [...Array(128).keys()])
      const own = [...entries.values()].flat().filter(({ accountId }) => {
        return databaseOf(partitionOfAccount(accountId) % buckets, layout) === databaseIndex
      })
      await commitFlush(connection, flushOf(own, checkpoints))
    })
  }
  databases = new ReadDatabases({ databaseUrls, buckets, logger: { warn: () => {} } })
})

after(async () => {
  await databases.close()
  await server.stop()
})

const receiptsOfTest = createReceipts(Buffer.alloc(32, 1))

async function ask(
  method: 'GET' | 'POST',
  path: string,
  body: string | Uint8Array = '',
  receipts: Receipts | undefined = receiptsOfTest,
) {
  const [pathname = '', search] = path.split('?')
  const persistence = new Persistence(databases)
  const routes = accountRoutes({ databases, persistence, receipts })
  const route = routes.find((one) => one.method === method)
  assert(route)
  const reply = await route.handle({
    method,
    path: pathname,
    parameters: [pathname.replace('/v1/accounts/', '')],
    query: new URLSearchParams(search),
    contentType: 'application/json',
    header: () => '',
    keepBody: () => assert.fail('not kept'),
    body: typeof body === 'string' ? Buffer.from(body) : body,
    signal: new AbortController().signal,
  })
  const whole = reply as WholeReply
  return { status: whole.status, body: JSON.parse(String(whole.body)) as Record<string, unknown> }
}

function shown(accountId: string, taken = [0, 1, 2]): Record<string, unknown> {
  const own = (entries.get(accountId) ?? []).filter((_, index) => taken.includes(index))
  const sorted = own.toSorted((a, b) => (a.id < b.id ? -1 : 1))
  const end = (entry: Entry | undefined) =>
    entry === undefined
      ? null
      : { id: entry.id, created_at: new Date(entry.createdAt).toISOString() }
  return {
    account_id: accountId,
    balance: String(own.reduce((sum, { amount }) => sum + amount, 0n)),
    count: String(own.length),
    first: end(sorted.at(0)),
    last: end(sorted.at(-1)),
  }
}

test('an account has an exact balance, a count, and its first and last entry by id', async () => {
  for (const accountId of accounts) {
    const { status, body } = await ask('GET', `/v1/accounts/${accountId}`)
    const { as_of: asOf, ...rest } = body
    assert.equal(status, 200)
    assert.match(String(asOf), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/)
    assert.deepEqual(rest, shown(accountId))
  }
})

test('as of a time an account has the entries created by then, whatever their ids say', async () => {
  const [accountId = ''] = accounts
  for (const [ms, taken] of [
    [-10_001, []],
    [-10_000, [0]],
    [-9000, [0, 1]],
    [-8001, [0, 1]],
    [86_400_000, [0, 1, 2]],
  ] as const) {
    const at = new Date(now + ms).toISOString()
    const { status, body } = await ask('GET', `/v1/accounts/${accountId}?at=${at}`)
    const { as_of: asOf, ...rest } = body
    assert.equal(status, 200)
    assert.match(String(asOf), /Z$/)
    assert.deepEqual(rest, { ...shown(accountId, [...taken]), at: at.replace('Z', '000Z') })
  }
})

test('an account without entries is not found, as of a time neither', async () => {
  const nobody = crypto.randomUUID()
  for (const query of ['', '?at=2026-01-01T00:00:00Z', '?at=9999-01-01T00:00:00Z']) {
    assert.equal((await ask('GET', `/v1/accounts/${nobody}${query}`)).status, 404)
  }
})

test('balances of many accounts come in the order asked for, null where there is nothing', async () => {
  const asked = [accounts[3] ?? '', crypto.randomUUID(), ...accounts, accounts[3] ?? '']
  for (const body of [JSON.stringify(asked), JSON.stringify({ account_ids: asked })]) {
    const reply = await ask('POST', '/v1/balances', body)
    assert.equal(reply.status, 200)
    const found = reply.body['balances'] as (Record<string, unknown> | null)[]
    assert.deepEqual(
      found.map((one) => one && { ...one, as_of: undefined }),
      asked.map((id) => (entries.has(id) ? { ...shown(id), as_of: undefined } : null)),
    )
  }
  const upper = JSON.stringify([accounts[0]?.toUpperCase()])
  const { body } = await ask('POST', '/v1/balances', upper)
  assert.equal((body['balances'] as { account_id: string }[])[0]?.account_id, accounts[0])
})

test('a thousand accounts are the most', async () => {
  const ids = Array.from({ length: balanceAccountsMax }, () => crypto.randomUUID())
  ids[500] = accounts[0] ?? ''
  const { status, body } = await ask('POST', '/v1/balances', JSON.stringify(ids, undefined, 8))
  assert.equal(status, 200)
  const found = body['balances'] as unknown[]
  assert.deepEqual([found.length, found.filter((one) => one !== null).length], [1000, 1])
  const refused = await ask('POST', '/v1/balances', JSON.stringify([...ids, ids[0]]))
  assert.deepEqual([refused.status, refused.body['found']], [400, '1001 of them'])
})

test('a request for balances that is none is refused by place, expectation and finding', async () => {
  const whole = 'a JSON array of 1 to 1000 account ids, or {"account_ids": […]}'
  const deep = '['.repeat(60_000) + ']'.repeat(60_000)
  for (const [body, field, expected, found] of [
    ['', 'Body', whole, ''],
    ['[', 'Body', whole, 'no JSON'],
    [Uint8Array.of(0x5b, 0x22, 0xff, 0x22, 0x5d), 'Body', whole, 'no JSON'],
    ['null', 'Body', whole, 'null'],
    ['"x"', 'Body', whole, '"x"'],
    ['[]', 'Body', whole, '0 of them'],
    ['{}', 'Body', whole, 'an object of nothing'],
    ['{"account_ids":[],"at":1}', 'Body', whole, 'an object of account_ids, at'],
    ['{"account_ids":7}', 'Body', whole, '7'],
    [`["${accounts[0]}",7]`, 'account_ids[1]', 'a UUID', '7'],
    ['{"account_ids":["x"]}', 'account_ids[0]', 'a UUID', '"x"'],
    [`[${deep}]`, 'account_ids[0]', 'a UUID', 'an array'],
    [`{"account_ids":{"a":${deep}}}`, 'Body', whole, 'an object'],
  ] as const) {
    const reply = await ask('POST', '/v1/balances', body)
    const { status, field: place, expected: wanted, found: seen } = reply.body
    assert.deepEqual([status, place, wanted, seen], [400, field, expected, found])
  }
  const long = await ask('POST', '/v1/balances', ' '.repeat(balancesBodyBytesMax + 1))
  assert.equal(long.status, 413)
  assert.equal((await ask('POST', '/v1/balances?at=1', '[]')).body['field'], 'at')
  const [accountId = ''] = accounts
  assert.equal((await ask('GET', `/v1/accounts/${accountId}?at=soon`)).body['field'], 'at')
  assert.equal((await ask('GET', `/v1/accounts/${accountId}?to=1`)).body['field'], 'to')
})

/** The receipt of a request whose only record is this one. */
function receiptFor(partition: number, offset: number, log = testLog): string {
  const records = { offsets: new Float64Array(128).fill(-1), times: new Float64Array(128) }
  records.offsets[partition] = offset
  records.times[partition] = now
  return receiptsOfTest.encode(log, records, { count: 1, digest: 0 })
}

test('with a receipt an account has at least what that request wrote, or it is not answered', async () => {
  const [accountId = ''] = accounts
  const partition = partitionOfAccount(accountId)
  const path = `/v1/accounts/${accountId}?receipt=`
  const there = await ask('GET', path + receiptFor(partition, 0))
  assert.deepEqual([there.status, there.body['count']], [200, '3'])
  const before = new Date(now - 10_000).toISOString()
  const then = await ask('GET', `${path}${receiptFor(partition, 0)}&wait=1s&at=${before}`)
  assert.deepEqual([then.status, then.body['count']], [200, '1'])
  const started = performance.now()
  const pending = await ask('GET', `${path}${receiptFor(partition, 1)}&wait=200ms`)
  assert(performance.now() - started >= 199)
  assert.deepEqual([pending.status, pending.body['title']], [409, 'Not persisted yet'])
  const foreign = await ask('GET', path + receiptFor(partition, 0, 'another log'))
  assert.deepEqual([foreign.status, foreign.body['title']], [410, 'Other log'])
  // What went elsewhere says nothing of this account.
  const elsewhere = await ask('GET', path + receiptFor((partition + 1) % 128, 99))
  assert.equal(elsewhere.status, 200)
})

test('an entry that is persisted while its writer waits for it is in the balance it gets', async () => {
  const accountId = crypto.randomUUID()
  const partition = partitionOfAccount(accountId)
  const databaseIndex = databaseOf(partition % buckets, { buckets, databases: 2 })
  await withConnection(databaseUrls[databaseIndex] ?? '', async (connection) => {
    const [checkpoint] = await readCheckpoints(connection, [partition])
    assert(checkpoint)
    const receipt = receiptFor(partition, checkpoint.nextOffset)
    const reading = ask('GET', `/v1/accounts/${accountId}?receipt=${receipt}&wait=10s`)
    const entry = { accountId, id: idAt(now), amount: 9n, createdAt: now }
    const outcome = await commitFlush(connection, flushOf([entry], [checkpoint]))
    assert.equal(outcome.kind, 'committed')
    const { status, body } = await reading
    assert.deepEqual([status, body['balance']], [200, '9'])
  })
})

test('a receipt that is none, and a wait for nothing, are refused', async () => {
  const path = `/v1/accounts/${accounts[0]}`
  for (const [query, field] of [
    ['receipt=x', 'receipt'],
    ['receipt=', 'receipt'],
    ['wait=1s', 'wait'],
    [`receipt=${receiptFor(0, 0)}&wait=soon`, 'wait'],
  ]) {
    const { status, body } = await ask('GET', `${path}?${query}`)
    assert.deepEqual([status, body['field']], [400, field], query)
  }
})
