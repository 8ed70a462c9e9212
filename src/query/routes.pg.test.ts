import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { WholeReply } from '../http/http.ts'
import { durableCheckpoints } from '../ledger/checkpoint.ts'
import { commitFlush } from '../ledger/commit.ts'
import type { Layout } from '../ledger/buckets.ts'
import { databaseOf } from '../ledger/buckets.ts'
import { ReadDatabases } from '../ledger/read-databases.ts'
import { askWhole } from '../testing/ask.ts'
import { claimAll, createTestLedger, flushOf, withConnection } from '../testing/ledger.ts'
import { startTestPostgres, type TestPostgres } from '../testing/postgres.ts'
import { idAt, partitionOfAccount, type Entry } from '../testing/rows.ts'
import { accountRoutes } from './accounts.ts'
import { entryRoutes } from './entries.ts'

const buckets = 4
const logger = { warn: () => {} }
const now = Date.now()
let server: TestPostgres
let databases: ReadDatabases
const databaseUrls: string[] = []

before(async () => {
  server = await startTestPostgres()
  const layouts: Layout[] = [0, 1].map((databaseIndex) => ({
    buckets,
    databases: 2,
    databaseIndex,
  }))
  for (const layout of layouts) {
    const url = await createTestLedger(server, layout)
    databaseUrls.push(url)
    await fill(url, layout)
  }
  databases = new ReadDatabases({ databaseUrls, buckets, logger })
})

after(async () => {
  await databases.close()
  await server.stop()
})

/**
 * Twenty accounts of twelve entries each: 1 to 12, an instant apart, the last for most of them in
 * v4 ids.
 */
const accounts = Array.from({ length: 20 }, () => crypto.randomUUID())
const entriesOf = new Map(
  accounts.map((accountId) => [
    accountId,
    Array.from({ length: 12 }, (_, index): Entry => {
      const createdAt = now - 1000 + index
      const id = index === 11 ? crypto.randomUUID() : idAt(createdAt)
      return { accountId, id, amount: 2n ** 62n + BigInt(index), createdAt }
    }),
  ]),
)

async function fill(url: string, layout: Layout): Promise<void> {
  await withConnection(url, async (connection) => {
    const checkpoints = await claimAll(connection, [...Array(128).keys()])
    const own = [...entriesOf.values()].flat().filter(({ accountId }) => {
      const bucket = partitionOfAccount(accountId) % buckets
      return databaseOf(bucket, layout) === layout.databaseIndex
    })
    await commitFlush(connection, flushOf(own, checkpoints))
    // Flushes commit asynchronously, and the last test kills the server.
    await durableCheckpoints(connection)
  })
}

function get(path: string, reads = databases): Promise<WholeReply> {
  return askWhole([...accountRoutes(reads), ...entryRoutes(reads)], path)
}

interface Page {
  transactions: { id: string; account_id: string; amount: string; created_at: string }[]
  next_cursor: string | null
}

async function page(path: string): Promise<Page> {
  const reply = await get(path)
  assert.equal(reply.status, 200, String(reply.body))
  return JSON.parse(String(reply.body)) as Page
}

async function refusal(path: string): Promise<Record<string, unknown>> {
  const reply = await get(path)
  assert.equal(reply.contentType, 'application/problem+json')
  const { status, field, expected, found } = JSON.parse(String(reply.body)) as Record<
    string,
    unknown
  >
  assert.equal(reply.status, status)
  return { status, field, expected, found }
}

test('a balance is exact beyond int64, whichever database holds the account', async () => {
  for (const accountId of accounts) {
    const reply = await get(`/v1/accounts/${accountId}`)
    const { as_of: asOf, ...rest } = JSON.parse(String(reply.body)) as Record<string, unknown>
    assert.deepEqual(rest, {
      account_id: accountId,
      balance: String(12n * 2n ** 62n + 66n),
      count: '12',
    })
    assert.match(String(asOf), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/)
  }
})

test('an account id in upper case is the same account', async () => {
  const [accountId = ''] = accounts
  const reply = await get(`/v1/accounts/${accountId.toUpperCase()}`)
  assert.equal((JSON.parse(String(reply.body)) as Record<string, unknown>)['account_id'], accountId)
})

test('an account without entries is not found', async () => {
  const nobody = '00000000-0000-0000-0000-000000000000'
  assert.equal((await get(`/v1/accounts/${nobody}`)).status, 404)
  assert.equal((await get(`/v1/accounts/${nobody}/transactions`)).status, 404)
})

test('entries come by descending id, with amount and time as they were sent', async () => {
  for (const accountId of accounts) {
    const expected = (entriesOf.get(accountId) ?? [])
      .toSorted((a, b) => (a.id < b.id ? 1 : -1))
      .map(({ id, amount, createdAt }) => ({
        id,
        account_id: accountId,
        amount: String(amount),
        created_at: new Date(createdAt).toISOString(),
      }))
    const all = await page(`/v1/accounts/${accountId}/transactions`)
    assert.deepEqual(all, { transactions: expected, next_cursor: null, prev_cursor: null })
  }
})

test('pages of any size hold every entry once', async () => {
  const [accountId = ''] = accounts
  const whole = await page(`/v1/accounts/${accountId}/transactions`)
  for (const limit of [1, 5, 6, 11, 12, 13, 1000]) {
    const seen: unknown[] = []
    let cursor: string | null = ''
    while (cursor !== null) {
      const more: string = cursor === '' ? '' : `&cursor=${cursor}`
      const next: Page = await page(`/v1/accounts/${accountId}/transactions?limit=${limit}${more}`)
      assert(next.transactions.length > 0 && next.transactions.length <= limit)
      seen.push(...next.transactions)
      cursor = next.next_cursor
    }
    assert.deepEqual(seen, whole.transactions)
  }
})

test('what cannot be answered is refused by field, expectation and finding', async () => {
  const [accountId = ''] = accounts
  const list = `/v1/accounts/${accountId}/transactions`
  const limits = 'a whole number from 1 to 1000'
  for (const found of ['0', '1001', '-1', '1.5', '1e2', '', '007', '99999999999']) {
    const expected = { status: 400, field: 'limit', expected: limits, found }
    assert.deepEqual(await refusal(`${list}?limit=${found}`), expected)
  }
  for (const found of ['', 'x', 'AAAA', `${'A'.repeat(23)}=`, 'AQ'.repeat(12)]) {
    const expected = 'a next_cursor of an earlier page'
    const problem = { status: 400, field: 'cursor', expected, found }
    assert.deepEqual(await refusal(`${list}?cursor=${found}`), problem)
  }
  assert.deepEqual(await refusal(`${list}?page=2`), {
    status: 400,
    field: 'page',
    expected: 'only order and from and to and limit and cursor and running_balance',
    found: 'an unknown query parameter',
  })
  assert.equal((await refusal(`${list}?limit=1&limit=2`))['field'], 'limit')
  assert.equal((await refusal(`/v1/accounts/${accountId}?limit=1`))['field'], 'limit')
  assert.deepEqual(await refusal(`/v1/accounts/${accountId}x`), {
    status: 400,
    field: 'account_id',
    expected: 'a UUID',
    found: `${accountId}x`,
  })
})

test('databases that do not divide the accounts as told are no reason to deny an account', async () => {
  const [first = '', second = ''] = databaseUrls
  const others = [
    { databaseUrls: [second, first], buckets },
    { databaseUrls: [first], buckets },
    { databaseUrls: [second], buckets },
    { databaseUrls: [first, second], buckets: 2 * buckets },
  ]
  for (const other of others) {
    const misled = new ReadDatabases({ ...other, logger })
    await assert.rejects(misled.check(), { code: 'LAYOUT_MISMATCH' })
    for (const accountId of accounts) {
      await assert.rejects(get(`/v1/accounts/${accountId}`, misled), { code: 'LAYOUT_MISMATCH' })
      const list = get(`/v1/accounts/${accountId}/transactions`, misled)
      await assert.rejects(list, { code: 'LAYOUT_MISMATCH' })
    }
    await misled.close()
  }
})

test('a database that is away is an error that passes', async () => {
  const gone = new ReadDatabases({
    databaseUrls: ['postgresql://a:b@127.0.0.1:1/c'],
    buckets,
    logger,
  })
  await assert.rejects(get(`/v1/accounts/${accounts[0]}`, gone), {
    code: 'DATABASE_UNAVAILABLE',
  })
  await gone.close()
})

test('reads go on after PostgreSQL was killed and is back', async () => {
  await server.killPostmaster()
  await assert.rejects(get(`/v1/accounts/${accounts[0]}`), { code: 'DATABASE_UNAVAILABLE' })
  await server.start()
  assert.equal((await get(`/v1/accounts/${accounts[0]}`)).status, 200)
})
