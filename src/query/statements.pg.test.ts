import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { Route } from '../http/http.ts'
import type { Layout } from '../ledger/buckets.ts'
import { databaseOf } from '../ledger/buckets.ts'
import { commitFlush } from '../ledger/commit.ts'
import { ReadDatabases } from '../ledger/read-databases.ts'
import { askWhole, parsed } from '../testing/ask.ts'
import { claimAll, createTestLedger, flushOf, withConnection } from '../testing/ledger.ts'
import { startTestPostgres, type TestPostgres } from '../testing/postgres.ts'
import { idAt, partitionOfAccount, type Entry } from '../testing/rows.ts'
import { entryRoutes } from './entries.ts'
import { transferRoutes } from './transfers.ts'

const buckets = 4
const logger = { warn: () => {} }
const start = Math.floor(Date.now() / 1000) * 1000
let server: TestPostgres
let databases: ReadDatabases
let routes: Route[]

/** Entries a second apart, amounts that add up past int64, and one v4 id among them. */
const account = crypto.randomUUID()
const entries: Entry[] = Array.from({ length: 25 }, (_, index) => {
  const createdAt = start + index * 1000
  const id = index === 24 ? 'f0000000-0000-4000-8000-000000000000' : idAt(createdAt)
  const amount = index % 5 === 4 ? -7n : 2n ** 62n + BigInt(index)
  return { accountId: account, id, amount, createdAt }
})
/** One id on forty accounts, over both databases. */
const transferId = idAt(start)
const transfer = Array.from({ length: 40 }, (_, index): Entry => {
  const accountId = crypto.randomUUID()
  return { accountId, id: transferId, amount: BigInt(index) - 20n, createdAt: start }
})

before(async () => {
  server = await startTestPostgres()
  const databaseUrls: string[] = []
  for (const databaseIndex of [0, 1]) {
    const layout: Layout = { buckets, databases: 2, databaseIndex }
    const url = await createTestLedger(server, layout)
    databaseUrls.push(url)
    await fill(url, layout)
  }
  databases = new ReadDatabases({ databaseUrls, buckets, logger })
  routes = [...entryRoutes(databases), ...transferRoutes(databases)]
})

after(async () => {
  await databases.close()
  await server.stop()
})

async function fill(url: string, layout: Layout): Promise<void> {
  await withConnection(url, async (connection) => {
    const checkpoints = await claimAll(connection, [...Array(128).keys()])
    const own = [...entries, ...transfer].filter(({ accountId }) => {
      const bucket = partitionOfAccount(accountId) % buckets
      return databaseOf(bucket, layout) === layout.databaseIndex
    })
    await commitFlush(connection, flushOf(own, checkpoints))
  })
}

interface Shown {
  id: string
  account_id: string
  amount: string
  created_at: string
  running_balance?: string
}

interface Page {
  transactions: Shown[]
  next_cursor: string | null
  prev_cursor: string | null
}

const list = `/v1/accounts/${account}/transactions`

/** By ascending id, with the balance after each. */
const expected: Shown[] = entries
  .toSorted((a, b) => (a.id < b.id ? -1 : 1))
  .map(({ id, amount, createdAt }, index, sorted) => ({
    id,
    account_id: account,
    amount: String(amount),
    created_at: new Date(createdAt).toISOString(),
    running_balance: String(
      sorted.slice(0, index + 1).reduce((sum, entry) => sum + entry.amount, 0n),
    ),
  }))

async function page(path: string): Promise<Page> {
  const reply = await askWhole(routes, path)
  assert.equal(reply.status, 200, String(reply.body))
  return parsed(reply) as Page
}

async function refusal(path: string): Promise<Record<string, unknown>> {
  const reply = await askWhole(routes, path)
  assert.equal(reply.status, 400, String(reply.body))
  const { field, expected: wanted, found } = parsed(reply) as Record<string, unknown>
  return { field, expected: wanted, found }
}

function linksOf(link: string): Map<string, string> {
  const parts = [...link.matchAll(/<([^>]*)>; rel="(\w+)"/g)]
  return new Map(parts.map(([, target = '', relation = '']) => [relation, target]))
}

test('the balance after each entry is exact beyond int64, in both orders, on pages of any size', async () => {
  for (const order of ['asc', 'desc']) {
    const whole = order === 'asc' ? expected : expected.toReversed()
    for (const limit of [1, 4, 24, 25, 26]) {
      const seen: Shown[] = []
      let path: string | undefined = `${list}?order=${order}&limit=${limit}&running_balance=true`
      while (path !== undefined) {
        const reply = await askWhole(routes, path)
        seen.push(...(parsed(reply) as Page).transactions)
        path = linksOf(reply.headers?.['Link'] ?? '').get('next')
      }
      assert.deepEqual(seen, whole)
    }
  }
})

test('without being asked for, there is no running balance', async () => {
  const { transactions } = await page(`${list}?limit=1&running_balance=false`)
  assert.deepEqual(Object.keys(transactions[0] ?? {}), ['id', 'account_id', 'amount', 'created_at'])
})

test('a range holds what is in it, and balances count what came before', async () => {
  const iso = (index: number): string => new Date(start + index * 1000).toISOString()
  for (const [from, to] of [
    [3, 7],
    [0, 24],
    [5, 5],
  ] as const) {
    for (const order of ['asc', 'desc']) {
      const query = `from=${iso(from)}&to=${iso(to)}&order=${order}&running_balance=true`
      const found = await page(`${list}?${query}`)
      const inside = expected.slice(from, to)
      assert.deepEqual(found.transactions, order === 'asc' ? inside : inside.reverse())
    }
  }
  // A part of a millisecond later, the entry of that millisecond has begun before.
  const late = await page(`${list}?order=asc&from=${iso(3).replace('Z', '001Z')}&limit=1`)
  assert.equal(late.transactions[0]?.id, expected[4]?.id)
  const until = await page(`${list}?order=desc&to=${iso(3).replace('Z', '001Z')}&limit=1`)
  assert.equal(until.transactions[0]?.id, expected[3]?.id)
  // An id that is no UUIDv7 lies where its first 48 bits say.
  const far = await page(`${list}?from=9999-01-01T00:00:00Z`)
  assert.equal(far.transactions[0]?.id, 'f0000000-0000-4000-8000-000000000000')
  const old = await page(`${list}?to=1969-12-31T23:59:59Z`)
  assert.deepEqual(old, { transactions: [], next_cursor: null, prev_cursor: null })
})

test('links lead to the first page, the next one, and back again', async () => {
  const query = 'limit=10&running_balance=true'
  const first = await askWhole(routes, `${list}?${query}`)
  const links = linksOf(first.headers?.['Link'] ?? '')
  assert.deepEqual([...links.keys()], ['first', 'next'])
  assert.equal(links.get('first'), `${list}?${query}`)
  const second = await askWhole(routes, links.get('next') ?? '')
  const further = linksOf(second.headers?.['Link'] ?? '')
  assert.deepEqual([...further.keys()], ['first', 'prev', 'next'])
  const third = await askWhole(routes, further.get('next') ?? '')
  const last = linksOf(third.headers?.['Link'] ?? '')
  assert.deepEqual([...last.keys()], ['first', 'prev'])
  assert.equal((parsed(third) as Page).transactions.length, 5)
  const secondAgain = await askWhole(routes, last.get('prev') ?? '')
  assert.deepEqual(
    (parsed(secondAgain) as Page).transactions,
    (parsed(second) as Page).transactions,
  )
  const back = linksOf(secondAgain.headers?.['Link'] ?? '')
  assert.deepEqual([...back.keys()], ['first', 'prev', 'next'])
  const firstAgain = await askWhole(routes, back.get('prev') ?? '')
  assert.deepEqual((parsed(firstAgain) as Page).transactions, (parsed(first) as Page).transactions)
  assert.deepEqual([...linksOf(firstAgain.headers?.['Link'] ?? '').keys()], ['first', 'next'])
})

test('a cursor of another order, range, account or listing is refused', async () => {
  const { next_cursor: cursor } = await page(`${list}?limit=3`)
  const wanted = 'a cursor of this listing, with the same path, order and filters'
  const other = transfer[0]?.accountId ?? ''
  for (const path of [
    `${list}?order=asc&cursor=${cursor}`,
    `${list}?from=2026-01-01T00:00:00Z&cursor=${cursor}`,
    `/v1/accounts/${other}/transactions?cursor=${cursor}`,
    `/v1/transactions/${transferId}?cursor=${cursor}`,
  ]) {
    const found = `${cursor}, of another one`
    assert.deepEqual(await refusal(path), { field: 'cursor', expected: wanted, found })
  }
  // Another limit is no other listing.
  assert.equal((await page(`${list}?limit=1&cursor=${cursor}`)).transactions.length, 1)
})

test('what is asked for wrongly is refused by field, expectation and finding', async () => {
  assert.deepEqual(await refusal(`${list}?order=up`), {
    field: 'order',
    expected: 'asc or desc',
    found: 'up',
  })
  assert.equal((await refusal(`${list}?running_balance=yes`))['field'], 'running_balance')
  for (const found of ['yesterday', '2026-02-30T00:00:00Z', '2026-01-01', '']) {
    assert.equal((await refusal(`${list}?from=${found}`))['field'], 'from')
  }
  const range = 'from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z'
  assert.deepEqual(await refusal(`${list}?${range}`), {
    field: 'to',
    expected: 'no time before from, 2026-01-02T00:00:00.000000Z',
    found: '2026-01-01T00:00:00.000000Z',
  })
  assert.equal((await refusal(`${list}/x`))['field'], 'id')
  assert.equal((await refusal(`/v1/transactions/x`))['field'], 'id')
})

test('an account without entries is not found, one without any in the range is empty', async () => {
  const nobody = crypto.randomUUID()
  const range = 'from=2020-01-01T00:00:00Z&to=2020-01-02T00:00:00Z'
  const found = await askWhole(routes, `/v1/accounts/${nobody}/transactions?${range}`)
  assert.equal(found.status, 404)
  assert.deepEqual((await page(`${list}?${range}`)).transactions, [])
})

test('what has not changed is not sent again', async () => {
  for (const path of [`${list}?limit=3`, `${list}/${entries[0]?.id}`]) {
    const first = await askWhole(routes, path)
    const etag = first.headers?.['ETag'] ?? ''
    assert.match(etag, /^"[\w-]{27}"$/)
    assert.equal(first.headers?.['Cache-Control'], 'private, no-cache')
    for (const header of [etag, `"x", W/${etag}`, '*']) {
      const again = await askWhole(routes, path, { headers: { 'if-none-match': header } })
      assert.equal(again.status, 304)
      assert.equal(again.headers?.['ETag'], etag)
      assert.equal(again.body, '')
    }
    const changed = await askWhole(routes, path, { headers: { 'if-none-match': '"x"' } })
    assert.equal(changed.status, 200)
  }
  const [one, other] = await Promise.all([
    askWhole(routes, `${list}?limit=3`),
    askWhole(routes, `${list}?limit=4`),
  ])
  assert.notEqual(one.headers?.['ETag'], other.headers?.['ETag'])
})

test('one entry is found by account and id, and by nothing else', async () => {
  for (const { running_balance: _, ...entry } of expected) {
    const reply = await askWhole(routes, `${list}/${entry.id.toUpperCase()}`)
    assert.deepEqual(parsed(reply), entry)
  }
  for (const path of [
    `${list}/${transferId}`,
    `/v1/accounts/${crypto.randomUUID()}/transactions/${entries[0]?.id}`,
  ]) {
    const reply = await askWhole(routes, path)
    assert.equal(reply.status, 404)
    assert.equal((parsed(reply) as Record<string, unknown>)['title'], 'No such transaction')
  }
})

test('all entries of an id are found, whichever databases hold them', async () => {
  const whole = transfer
    .toSorted((a, b) => (a.accountId < b.accountId ? -1 : 1))
    .map(({ accountId, id, amount, createdAt }) => ({
      id,
      account_id: accountId,
      amount: String(amount),
      created_at: new Date(createdAt).toISOString(),
    }))
  for (const limit of [1, 39, 40, 41]) {
    const seen: Shown[] = []
    let path: string | undefined = `/v1/transactions/${transferId}?limit=${limit}`
    while (path !== undefined) {
      const reply = await askWhole(routes, path)
      seen.push(...(parsed(reply) as Page).transactions)
      path = linksOf(reply.headers?.['Link'] ?? '').get('next')
    }
    assert.deepEqual(seen, whole)
  }
  const single = await page(`/v1/transactions/${entries[24]?.id}`)
  assert.deepEqual(
    single.transactions.map(({ account_id: id }) => id),
    [account],
  )
  const none = await askWhole(routes, `/v1/transactions/${crypto.randomUUID()}`)
  assert.equal(none.status, 404)
})
