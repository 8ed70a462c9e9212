import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { changesReadersMax } from '../limits.ts'
import { durableCheckpoints } from '../ledger/checkpoint.ts'
import { commitFlush } from '../ledger/commit.ts'
import { ReadDatabases } from '../ledger/read-databases.ts'
import { metrics } from '../observe/metrics.ts'
import { ChangesReader, type ReadEvent } from '../testing/changes.ts'
import {
  claimAll,
  createTestLedger,
  flushOf,
  testLayout,
  withConnection,
} from '../testing/ledger.ts'
import { startTestPostgres, type TestPostgres } from '../testing/postgres.ts'
import { idAt, partitionOfAccount, type Entry } from '../testing/rows.ts'
import { serve } from '../testing/served.ts'
import { changesRoutes } from './changes.ts'

const { buckets } = testLayout
const epoch = Date.UTC(2000, 0, 1)
let server: TestPostgres
let databaseUrl: string
let databases: ReadDatabases

before(async () => {
  server = await startTestPostgres()
  databaseUrl = await createTestLedger(server)
  databases = new ReadDatabases({
    databaseUrls: [databaseUrl],
    buckets,
    logger: { warn: () => {} },
  })
})

after(async () => {
  await databases.close()
  await server.stop()
})

/** Commits entries as one record of each of their partitions. */
async function commit(entries: readonly Entry[]): Promise<void> {
  await withConnection(databaseUrl, async (connection) => {
    const checkpoints = await claimAll(connection, [...Array(128).keys()])
    const flush = flushOf(entries, checkpoints)
    const createdAt = (entries[0].createdAt - epoch) * 1000
    const steps = flush.steps.map((step) => ({ ...step, createdAt }))
    await commitFlush(connection, { ...flush, steps })
    await durableCheckpoints(connection)
  })
}

let lastTime = Date.now()

/** One entry for each of some accounts, all of one instant that comes after any before. */
function entriesOf(count: number, accountId?: string): Entry[] {
  const createdAt = (lastTime = Math.max(lastTime + 1, Date.now()))
  return Array.from({ length: count }, (_, index) => {
    const account = accountId ?? crypto.randomUUID()
    return { accountId: account, id: idAt(createdAt), amount: BigInt(index), createdAt }
  })
}

const texts = (entries: readonly Entry[]): string[] =>
  entries.map(({ accountId, id, amount }) => `${accountId} ${id} ${amount}`).sort()

async function get(url: string, query: string, headers = {}): Promise<Response> {
  return fetch(`${url}/v1/changes${query}`, { headers })
}

test('an empty ledger has a cursor and no events, from wherever one begins', async (t) => {
  const { url } = await serve(t, { routes: changesRoutes(databases) })
  for (const after of ['start', 'now']) {
    const reply = await get(url, `?after=${after}&follow=false`)
    const lines = (await reply.text()).trimEnd().split('\n')
    assert.equal(reply.status, 200)
    for (const line of lines) assert.deepEqual(Object.keys(JSON.parse(line) as object), ['cursor'])
  }
})

test('what is committed after a cursor is read after it, and nothing else', async (t) => {
  const { url } = await serve(t, { routes: changesRoutes(databases) })
  const first = entriesOf(50)
  await commit(first)
  const reader = new ChangesReader(url, 'start')
  await reader.read('&follow=false')
  assert.deepEqual(reader.rows.sort(), texts(first))
  const fromNow = new ChangesReader(url, 'now')
  await fromNow.read('&follow=false')
  assert.deepEqual(fromNow.rows, [])
  const second = entriesOf(30)
  await commit(second)
  for (const { cursor } of [reader, fromNow]) {
    const next = new ChangesReader(url, cursor)
    await next.read('&follow=false')
    assert.deepEqual(next.rows.sort(), texts(second))
  }
})

test('an event has all rows of its record, in order, with the time of their acceptance', async (t) => {
  const { url } = await serve(t, { routes: changesRoutes(databases) })
  const now = await get(url, '?follow=false')
  const { cursor } = JSON.parse((await now.text()).split('\n')[0]) as ReadEvent
  const accountId = crypto.randomUUID()
  // More than an event has unless one record has more.
  const entries = entriesOf(1500, accountId)
  await commit(entries)
  const reply = await get(url, `?after=${cursor}&follow=false`)
  const [, event, last] = (await reply.text()).split('\n')
  const { partition, transactions } = JSON.parse(event) as Required<ReadEvent>
  assert.equal(partition, partitionOfAccount(accountId))
  assert.deepEqual(
    transactions,
    entries
      .toSorted((a, b) => (a.id < b.id ? -1 : 1))
      .map(({ id, amount, createdAt }) => ({
        id,
        account_id: accountId,
        amount: String(amount),
        created_at: new Date(createdAt).toISOString().replace('Z', '000Z'),
      })),
  )
  assert.deepEqual(Object.keys(JSON.parse(last) as object), ['cursor'])
})

test('limit ends after so many events, and partitions narrows to some', async (t) => {
  const { url } = await serve(t, { routes: changesRoutes(databases) })
  const reader = new ChangesReader(url, 'start')
  while (reader.events < 5) {
    const before = reader.events
    await reader.read('&follow=false&limit=1')
    assert.equal(reader.events, before + 1)
  }
  const some = new ChangesReader(url, 'start')
  await some.read('&follow=false&partitions=0-63')
  const all = new ChangesReader(url, 'start')
  await all.read('&follow=false')
  const own = all.rows.filter((row) => partitionOfAccount(row.slice(0, 36)) < 64)
  assert.deepEqual(some.rows.sort(), own.sort())
})

test('server-sent events carry their cursor as id, and a browser goes on from it', async (t) => {
  const { url } = await serve(t, { routes: changesRoutes(databases) })
  const Accept = 'text/event-stream'
  const text = await (await get(url, '?after=start&follow=false', { Accept })).text()
  const ids = [...text.matchAll(/^id: (.*)$/gm)].map(([, id]) => id)
  assert.match(text, /^event: batch\ndata: \{"partition":\d+,"transactions":\[/m)
  const rest = await get(url, '?after=start&follow=false', { Accept, 'Last-Event-ID': ids.at(-1) })
  assert.doesNotMatch(await rest.text(), /event: batch/)
})

test('what cannot be followed is refused by field, expectation and finding', async (t) => {
  const { url } = await serve(t, { routes: changesRoutes(databases) })
  const cases: [string, string, string, number][] = [
    ['?after=yesterday', 'after', 'start, now or a cursor of an earlier event', 400],
    ['?after=', 'after', 'start, now or a cursor of an earlier event', 400],
    ['?follow=yes', 'follow', 'true or false', 400],
    ['?limit=0', 'limit', 'a whole number from 1 to 1000000', 400],
    ['?partitions=128', 'partitions', 'ranges within 0 to 127', 400],
    ['?partitions=', 'partitions', 'ranges within 0 to 127', 400],
    ['?since=1', 'since', 'only after and partitions and follow and limit', 400],
  ]
  for (const [query, field, expected, status] of cases) {
    const reply = await get(url, query)
    const problem = (await reply.json()) as Record<string, unknown>
    assert.deepEqual([problem['field'], problem['expected']], [field, expected], query)
    assert.equal(reply.status, status)
  }
  assert.equal((await get(url, '', { Accept: 'text/html' })).status, 406)
  const other = await createTestLedger(server)
  const others = new ReadDatabases({ databaseUrls: [other], buckets, logger: { warn: () => {} } })
  const foreign = await serve(t, { routes: changesRoutes(others) })
  const reader = new ChangesReader(url, 'now')
  await reader.read('&follow=false')
  const gone = await get(foreign.url, `?after=${reader.cursor}`)
  assert.equal(gone.status, 410)
  const mixed = await get(url, `?after=${reader.cursor}&partitions=1`)
  assert.equal(((await mixed.json()) as Record<string, unknown>)['field'], 'partitions')
  await others.close()
})

async function readers(): Promise<number> {
  return (await metrics.changesReaders.get()).values[0]?.value ?? 0
}

async function eventually(condition: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 10_000
  while (!(await condition())) {
    assert(performance.now() < deadline, 'in time')
    await delay(10)
  }
}

test('so many follow at a time; one more is 503; those that go make room', async (t) => {
  const { url } = await serve(t, { routes: changesRoutes(databases) })
  const leaving = new AbortController()
  const { signal } = leaving
  const replies = await Promise.all(
    Array.from({ length: changesReadersMax }, () => fetch(`${url}/v1/changes`, { signal })),
  )
  assert(replies.every(({ status }) => status === 200))
  const refused = await get(url, '')
  assert.deepEqual([refused.status, refused.headers.get('retry-after')], [503, '1'])
  await refused.body?.cancel()
  // A commit wakes all of them, and is read once for all.
  const entries = entriesOf(1)
  const first = (replies[0].body as ReadableStream<Uint8Array>).getReader()
  await first.read()
  await commit(entries)
  const { value } = await first.read()
  assert.match(new TextDecoder().decode(value), new RegExp(entries[0].id))
  leaving.abort()
  await eventually(async () => (await readers()) === 0)
  assert.equal((await get(url, '?follow=false')).status, 200)
})

test('a database that is away is 503 at first, and a pause for those who follow', async (t) => {
  const { url } = await serve(t, { routes: changesRoutes(databases) })
  const reader = new ChangesReader(url, 'now')
  const leaving = new AbortController()
  const reading = reader.read('', () => reader.events > 0, leaving.signal)
  await eventually(async () => (await readers()) === 1)
  await server.killPostmaster()
  assert.equal((await get(url, '')).status, 503)
  await server.start()
  const entries = entriesOf(1)
  await commit(entries)
  await reading
  assert.deepEqual(reader.rows, texts(entries))
})
