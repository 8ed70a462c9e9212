import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { Route } from '../http/http.ts'
import type { Layout } from '../ledger/buckets.ts'
import { databaseOf } from '../ledger/buckets.ts'
import { ReadDatabases } from '../ledger/read-databases.ts'
import { askWhole, parsed } from '../testing/ask.ts'
import { createTestLedger, withConnection } from '../testing/ledger.ts'
import { startTestPostgres, type TestPostgres } from '../testing/postgres.ts'
import { partitionOfAccount } from '../testing/rows.ts'
import { conflictRoutes } from './conflicts.ts'
import { quarantineRoutes } from './quarantine.ts'

const buckets = 4
const logger = { warn: () => {} }
let server: TestPostgres
let databases: ReadDatabases
let routes: Route[]

interface Conflict {
  account_id: string
  id: string
  amount: string
  recorded_amount: string
  created_at: string
  detected_at: string
}

/** Three at each of ten instants, over both databases, and one key with several amounts. */
const start = Date.UTC(2026, 10, 24, 12)
const least = -(2n ** 63n)
const conflicts: Conflict[] = Array.from({ length: 30 }, (_, index) => ({
  account_id: crypto.randomUUID(),
  id: crypto.randomUUID(),
  amount: String(index % 2 === 0 ? index : -index),
  recorded_amount: '5',
  created_at: new Date(start - 1000).toISOString(),
  detected_at: new Date(start + Math.floor(index / 3) * 1000).toISOString(),
}))
const [first] = conflicts
for (const amount of [least, -1n, 7n, 2n ** 63n - 1n]) {
  conflicts.push({ ...first, amount: String(amount) })
}

function order(a: Conflict, b: Conflict): number {
  const text = ({ detected_at: at, account_id: account, id }: Conflict) => `${at} ${account} ${id}`
  if (text(a) !== text(b)) return text(a) < text(b) ? -1 : 1
  return BigInt(a.amount) < BigInt(b.amount) ? -1 : 1
}

interface Kept {
  partition: number
  offset: string
  log_identity: string
  reason: string
  size: number
}

const records = [0, 3, 64, 127].flatMap((partition) =>
  ['9', '10', '9223372036854775807'].map((offset) => ({ partition, offset, log: 'one log' })),
)
records.push({ partition: 3, offset: '10', log: "another's \\ log" })
const bytesOf = (partition: number, offset: string, log: string): Buffer =>
  Buffer.from(`\0${partition} ${offset} ${log}`)

before(async () => {
  server = await startTestPostgres()
  const databaseUrls: string[] = []
  for (const databaseIndex of [0, 1]) {
    const layout: Layout = { buckets, databases: 2, databaseIndex }
    const url = await createTestLedger(server, layout)
    databaseUrls.push(url)
    const isOwn = (partition: number): boolean =>
      databaseOf(partition % buckets, layout) === databaseIndex
    await withConnection(url, async (connection) => {
      for (const one of conflicts.filter((row) => isOwn(partitionOfAccount(row.account_id)))) {
        await connection.query(`INSERT INTO ledger.conflicts VALUES ($1, $2, $3, $4, $5, $6)`, [
          one.account_id,
          one.id,
          one.amount,
          one.recorded_amount,
          one.created_at,
          one.detected_at,
        ])
      }
      for (const { partition, offset, log } of records.filter((row) => isOwn(row.partition))) {
        await connection.query(
          `INSERT INTO ledger.quarantine VALUES ($1, $2, $3, 'expected a tag', $4, now(), now())`,
          [log, partition, offset, bytesOf(partition, offset, log)],
        )
      }
    })
  }
  databases = new ReadDatabases({ databaseUrls, buckets, logger })
  routes = [...conflictRoutes(databases), ...quarantineRoutes(databases)]
})

after(async () => {
  await databases.close()
  await server.stop()
})

async function get(path: string): Promise<Record<string, unknown>> {
  const reply = await askWhole(routes, path)
  assert.equal(reply.status, 200, String(reply.body))
  return parsed(reply) as Record<string, unknown>
}

async function problem(path: string): Promise<Record<string, unknown>> {
  const reply = await askWhole(routes, path)
  const document = parsed(reply) as Record<string, unknown>
  assert.equal(document['status'], reply.status)
  return document
}

/** Every page of a listing one after the other, then back again from the last one. */
async function bothWays(path: string, member: string): Promise<[unknown[], unknown[]]> {
  const there: unknown[] = []
  const back: unknown[] = []
  const next = (cursor: unknown): string =>
    `${path}${path.includes('?') ? '&' : '?'}cursor=${String(cursor)}`
  let page = await get(path)
  for (;;) {
    there.push(...(page[member] as unknown[]))
    if (page['next_cursor'] === null) break
    page = await get(next(page['next_cursor']))
  }
  for (;;) {
    back.unshift(...(page[member] as unknown[]))
    if (page['prev_cursor'] === null) return [there, back]
    page = await get(next(page['prev_cursor']))
  }
}

test('conflicts come by time and key, once each, over all databases, both ways', async () => {
  const sorted = conflicts.toSorted(order)
  for (const limit of [1, 3, 33, 34, 35]) {
    const newest = await bothWays(`/v1/conflicts?limit=${limit}`, 'conflicts')
    assert.deepEqual(newest, [sorted.toReversed(), sorted.toReversed()])
    const oldest = await bothWays(`/v1/conflicts?order=asc&limit=${limit}`, 'conflicts')
    assert.deepEqual(oldest, [sorted, sorted])
  }
})

test('conflicts are found by account and by the time they were detected', async () => {
  const own = conflicts.filter((one) => one.account_id === first.account_id).toSorted(order)
  const upper = first.account_id.toUpperCase()
  const byAccount = await bothWays(
    `/v1/conflicts?account_id=${upper}&order=asc&limit=2`,
    'conflicts',
  )
  assert.deepEqual(byAccount, [own, own])
  const from = new Date(start + 2000).toISOString()
  const to = new Date(start + 4000).toISOString()
  const found = await get(`/v1/conflicts?order=asc&from=${from}&to=${to}`)
  const inside = conflicts.filter((one) => one.detected_at >= from && one.detected_at < to)
  assert.equal(inside.length, 6)
  assert.deepEqual(found['conflicts'], inside.toSorted(order))
  const none = await get(`/v1/conflicts?account_id=${crypto.randomUUID()}`)
  assert.deepEqual(none, { conflicts: [], next_cursor: null, prev_cursor: null })
})

test('quarantined records come by partition, offset and log, without their bytes', async () => {
  const sorted = records
    .toSorted(
      (a, b) =>
        a.partition - b.partition ||
        Number(BigInt(a.offset) - BigInt(b.offset)) ||
        (a.log < b.log ? -1 : 1),
    )
    .map(({ partition, offset, log }) => ({
      partition,
      offset,
      log_identity: log,
      reason: 'expected a tag',
      size: bytesOf(partition, offset, log).length,
    }))
  for (const limit of [1, 5, 12, 13, 14]) {
    const [there, back] = await bothWays(`/v1/quarantine?limit=${limit}`, 'records')
    const comparable = (list: unknown[]) =>
      (list as Kept[]).map(({ partition, offset, log_identity, reason, size }) => {
        return { partition, offset, log_identity, reason, size }
      })
    assert.deepEqual(comparable(there), sorted)
    assert.deepEqual(comparable(back), sorted)
  }
})

test('a quarantined record can be had by its place, and its bytes as they were', async () => {
  const record = await get('/v1/quarantine/127/9')
  assert.equal(record['log_identity'], 'one log')
  const reply = await askWhole(routes, '/v1/quarantine/127/9/bytes')
  assert.equal(reply.contentType, 'application/octet-stream')
  assert.deepEqual(Buffer.from(reply.body as Uint8Array), bytesOf(127, '9', 'one log'))
})

test('where several logs had a record at one place, the request says which is meant', async () => {
  for (const path of ['/v1/quarantine/3/10', '/v1/quarantine/3/10/bytes']) {
    const ambiguous = await problem(path)
    assert.equal(ambiguous['status'], 409)
    assert.equal(ambiguous['expected'], "another's \\ log or one log")
  }
  const query = `log_identity=${encodeURIComponent("another's \\ log")}`
  const record = await get(`/v1/quarantine/3/10?${query}`)
  assert.equal(record['log_identity'], "another's \\ log")
  const reply = await askWhole(routes, `/v1/quarantine/3/10/bytes?${query}`)
  assert.deepEqual(Buffer.from(reply.body as Uint8Array), bytesOf(3, '10', "another's \\ log"))
  assert.equal((await problem('/v1/quarantine/3/10?log_identity=no'))['status'], 404)
})

/** A cursor whose position has dashes for ids: as many characters, and nothing SQL could read. */
function withoutUuids(cursor: string): string {
  const bytes = Buffer.from(cursor, 'base64url')
  const position = bytes.toString('latin1', 6).replace(/[0-9a-f-]{36}/g, '-'.repeat(36))
  return Buffer.concat([bytes.subarray(0, 6), Buffer.from(position)]).toString('base64url')
}

test('what cannot be asked for is refused by field, expectation and finding', async () => {
  const { next_cursor: cursor } = await get('/v1/conflicts?limit=1')
  for (const [path, field] of [
    ['/v1/conflicts?account_id=x', 'account_id'],
    ['/v1/conflicts?from=x', 'from'],
    ['/v1/conflicts?from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z', 'to'],
    ['/v1/conflicts?limit=1001', 'limit'],
    ['/v1/conflicts?cursor=x', 'cursor'],
    [`/v1/conflicts?cursor=${withoutUuids(String(cursor))}`, 'cursor'],
    ['/v1/conflicts?sort=x', 'sort'],
    [`/v1/conflicts?order=asc&cursor=${String(cursor)}`, 'cursor'],
    [`/v1/quarantine?cursor=${String(cursor)}`, 'cursor'],
    ['/v1/quarantine?limit=0', 'limit'],
    ['/v1/quarantine/128/0', 'partition'],
    ['/v1/quarantine/-1/0', 'partition'],
    ['/v1/quarantine/0/9223372036854775808', 'offset'],
    ['/v1/quarantine/0/x/bytes', 'offset'],
  ]) {
    const refused = await problem(path)
    assert.deepEqual([refused['status'], refused['field']], [400, field], path)
    assert.equal(typeof refused['expected'], 'string')
    assert.equal(typeof refused['found'], 'string')
  }
  assert.equal((await problem('/v1/quarantine/5/5'))['status'], 404)
  assert.equal((await problem('/v1/quarantine/5/5/bytes'))['status'], 404)
})
