import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { settleWaitersMax, watchGapMsMin } from '../limits.ts'
import { metrics } from '../observe/metrics.ts'
import { createReceipts } from '../receipt/receipt.ts'
import { column, withConnection } from '../testing/ledger.ts'
import { startTestPostgres, type TestPostgres } from '../testing/postgres.ts'
import { RawConnection } from '../testing/raw-http.ts'
import { bodyOf, databaseOfAccount, ReceiptLedger, type Answer } from '../testing/receipts.ts'
import { idAt, partitionOfAccount, uuidBytes, type Entry } from '../testing/rows.ts'

let server: TestPostgres
let ledger: ReceiptLedger

before(async () => {
  server = await startTestPostgres({
    settings: { shared_preload_libraries: 'pg_stat_statements', max_connections: '100' },
  })
  ledger = await ReceiptLedger.create(server)
  for (const url of ledger.databaseUrls) {
    await withConnection(url, (one) => one.execute('CREATE EXTENSION pg_stat_statements'))
  }
})

after(() => server.stop())

const now = Date.now() - 60_000

function entries(count: number, createdAt = now): Entry[] {
  return Array.from({ length: count }, (_, index) => ({
    accountId: crypto.randomUUID(),
    id: idAt(createdAt),
    amount: BigInt(index - 5),
    createdAt,
  }))
}

async function waiters(): Promise<number> {
  return (await metrics.settleWaiters.get()).values[0].value
}

async function until(condition: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 10_000
  while (!(await condition())) {
    assert(performance.now() < deadline, 'in time')
    await delay(5)
  }
}

/** Looks at the checkpoints of all databases, as PostgreSQL has counted them. */
async function looks(): Promise<number> {
  const counts = await Promise.all(
    ledger.databaseUrls.map((url) =>
      column(
        url,
        `SELECT coalesce(sum(calls), 0)::int FROM pg_stat_statements
         WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
           AND query LIKE '%string_agg%checkpoints%'`,
      ),
    ),
  )
  return counts.flat().reduce((sum: number, count) => sum + Number(count), 0)
}

/** Asks `count` times at once, and resolves with the answers to come when all of them wait. */
async function crowd(ask: () => Promise<Answer>, count: number): Promise<Promise<Answer[]>[]> {
  const already = await waiters()
  const answers = Promise.all(Array.from({ length: count }, ask))
  await until(async () => (await waiters()) === already + count)
  return [answers]
}

test('what is not there yet is said not to be, and then to be', async (t) => {
  const { get } = await ledger.serve(t)
  const items = entries(20)
  const receipt = await ledger.receiptOf(items)
  const partitions = new Set(items.map(({ accountId }) => partitionOfAccount(accountId))).size
  const rest = { accepted: 20, accepted_at: new Date(now).toISOString() }
  const early = await get(receipt)
  assert.deepEqual(
    [early.status, early.document],
    [200, { persisted: false, pending_partitions: partitions, ...rest }],
  )
  const started = performance.now()
  assert.equal((await get(receipt, '?wait=200ms')).document['persisted'], false)
  assert(performance.now() - started >= 199)
  const [first] = items
  await ledger.commit([first])
  const partly = await get(receipt, '?wait=0s')
  assert.equal(partly.document['pending_partitions'], partitions - 1)
  await ledger.commit(items.slice(1))
  assert.deepEqual((await get(receipt)).document, {
    persisted: true,
    pending_partitions: 0,
    ...rest,
  })
})

test('hundreds who wait are answered at once by one watcher of each database', async (t) => {
  const { get } = await ledger.serve(t)
  const items = entries(200)
  const receipt = await ledger.receiptOf(items)
  const [started, before] = [performance.now(), await looks()]
  const [answers] = await crowd(() => get(receipt, '?wait=20s'), 400)
  await delay(500)
  await ledger.commit(items)
  const committed = performance.now()
  assert((await answers).every(({ document }) => document['persisted'] === true))
  const [tookMs, lateMs] = [performance.now() - started, performance.now() - committed]
  const asked = (await looks()) - before
  t.diagnostic(`${asked} looks in ${tookMs.toFixed()} ms, answered after ${lateMs.toFixed()} ms`)
  // As many as one would need, and far fewer than one for each.
  assert(asked <= (2 * tookMs) / watchGapMsMin && asked < 400, `${asked} looks`)
  assert.equal(await waiters(), 0)
})

test('nobody looks while nobody waits', async (t) => {
  const { get } = await ledger.serve(t)
  const receipt = await ledger.receiptOf(entries(1))
  await get(receipt, '?wait=50ms')
  const before = await looks()
  await delay(200)
  assert.equal(await looks(), before)
})

test('a client that goes away is waited for no longer', async (t) => {
  const { port } = await ledger.serve(t)
  const receipt = await ledger.receiptOf(entries(1))
  const connections = await Promise.all(Array.from({ length: 50 }, () => RawConnection.open(port)))
  for (const one of connections) {
    one.send(`GET /v1/receipts/${receipt}?wait=30s HTTP/1.1\r\nHost: x\r\n\r\n`)
  }
  await until(async () => (await waiters()) === 50)
  for (const one of connections) one.close()
  await until(async () => (await waiters()) === 0)
  const before = await looks()
  await delay(100)
  assert.equal(await looks(), before)
})

test('past as many as may wait, the next is told to come later', async (t) => {
  const { get, persistence } = await ledger.serve(t)
  const receipt = await ledger.receiptOf(entries(1))
  const leaves = Array.from({ length: settleWaitersMax }, () => persistence.enter())
  const { status, headers } = await get(receipt, '?wait=1s')
  assert.deepEqual([status, headers.get('retry-after')], [503, '1'])
  leaves.pop()?.()
  assert.equal((await get(receipt)).status, 200)
  for (const leave of leaves) leave()
})

test('stopping answers everybody who waits with what is so far', async (t) => {
  const { get, persistence } = await ledger.serve(t)
  const receipt = await ledger.receiptOf(entries(1))
  const [answers] = await crowd(() => get(receipt, '?wait=30s'), 20)
  persistence.end()
  for (const { document } of await answers) assert.equal(document['persisted'], false)
  const started = performance.now()
  await get(receipt, '?wait=10s')
  assert(performance.now() - started < 5000)
})

test('a receipt that is no receipt, of another log or unreadable is refused as that', async (t) => {
  const { get, outcomes } = await ledger.serve(t)
  const items = entries(1)
  const good = await ledger.receiptOf(items)
  const signed = createReceipts(Buffer.from('another key'))
  const none = new Float64Array(128).fill(-1)
  const forged = signed.encode('test log', { offsets: none, times: none }, { count: 1, digest: 0 })
  for (const text of ['x', `${good}A`, good.slice(1), `B${good.slice(1)}`, forged, '%20', 'ÿ']) {
    for (const answer of [await get(text), await outcomes(text, bodyOf(items))]) {
      const { field, expected } = answer.document
      assert.deepEqual(
        [answer.status, field, expected],
        [400, 'receipt', 'a receipt as it was given out'],
        text,
      )
    }
  }
  const foreign = await ledger.receiptOf(items, { log: 'another log' })
  for (const answer of [await get(foreign), await outcomes(foreign, bodyOf(items))]) {
    assert.deepEqual([answer.status, answer.document['field']], [410, 'receipt'])
    assert.match(String(answer.document['detail']), /another log/)
  }
  const keyless = await ledger.serve(t, { hasKey: false })
  for (const answer of [await keyless.get(good), await keyless.outcomes(good, bodyOf(items))]) {
    assert.equal(answer.status, 501)
    assert.match(String(answer.document['detail']), /--receipt-key/)
  }
})

test('a time to wait that is none is refused by field, expectation and finding', async (t) => {
  const { get, outcomes } = await ledger.serve(t)
  const items = entries(1)
  const receipt = await ledger.receiptOf(items)
  for (const query of ['?wait=', '?wait=5', '?wait=31s', '?wait=1s&wait=1s', '?page=1']) {
    for (const answer of [await get(receipt, query), await outcomes(receipt, '[]', query)]) {
      const { field, expected, found } = answer.document
      const fields = [field, typeof expected, typeof found]
      const name = query.slice(1).split('=')[0]
      assert.deepEqual([answer.status, ...fields], [400, name, 'string', 'string'], query)
    }
  }
})

/** The outcomes of an answer, in order; and that each stands beside the item it is of. */
function outcomesIn({ status, document }: Answer, items: readonly Entry[]): unknown[] {
  assert.equal(status, 200, JSON.stringify(document))
  assert.equal(document['persisted'], true)
  const outcomes = document['outcomes'] as Record<string, unknown>[]
  assert.deepEqual(
    outcomes.map((one) => [one['id'], one['account_id']]),
    items.map(({ id, accountId }) => [id, accountId]),
  )
  return outcomes.map((one) => one['recorded_amount'] ?? one['outcome'])
}

/** The wire format, written out. */
function protobufOf(items: readonly Entry[]): Buffer {
  const parts = items.map(({ id, accountId, amount }) => {
    const amountBytes = Buffer.alloc(8)
    amountBytes.writeBigInt64LE(amount)
    const [front, middle, end] = ['0a2d0a10', '1210', '19'].map((hex) => Buffer.from(hex, 'hex'))
    return Buffer.concat([front, uuidBytes(id), middle, uuidBytes(accountId), end, amountBytes])
  })
  return Buffer.concat(parts)
}

test('each item is told apart: created, duplicate, conflict, and twice in one request', async (t) => {
  const { outcomes, budget } = await ledger.serve(t)
  const [old, rival] = entries(2, now - 1)
  await ledger.commit([old, rival])
  const [fresh, another] = entries(2)
  const items = [
    fresh,
    { ...old, createdAt: now },
    { ...rival, amount: 7n, createdAt: now },
    another,
    fresh,
    { ...old, createdAt: now },
  ]
  const receipt = await ledger.receiptOf(items)
  const early = await outcomes(receipt, bodyOf(items), '?wait=20ms')
  assert.deepEqual([early.status, early.document['persisted']], [200, false])
  assert(!('outcomes' in early.document))
  const waiting = outcomes(receipt, bodyOf(items), '?wait=10s')
  await ledger.commit(items, true)
  const expected = ['created', 'duplicate', String(rival.amount), 'created', 'duplicate']
  for (const answer of [await waiting, await outcomes(receipt, protobufOf(items))]) {
    assert.deepEqual(outcomesIn(answer, items), [...expected, 'duplicate'])
  }
  assert.equal(budget.taken, 0)
})

test('a row that a worker made younger than its record is created, not a duplicate', async (t) => {
  const { outcomes } = await ledger.serve(t)
  // The clock of whoever accepted the record before was ahead.
  const [item] = entries(1, now + 900)
  const receipt = await ledger.receiptOf([item], { time: now })
  await ledger.commit([item])
  assert.deepEqual(outcomesIn(await outcomes(receipt, bodyOf([item])), [item]), ['created'])
})

test('an item that is in the ledger no more has no outcome made up for it', async (t) => {
  const { outcomes } = await ledger.serve(t)
  const [kept, gone] = entries(2)
  const receipt = await ledger.receiptOf([kept, gone])
  await ledger.commit([kept, gone])
  for (const url of ledger.databaseUrls) {
    await withConnection(url, (one) =>
      one.execute('DELETE FROM ledger.transactions WHERE id = $1', [gone.id]),
    )
  }
  const answer = await outcomes(receipt, bodyOf([kept, gone]))
  assert.deepEqual(outcomesIn(answer, [kept, gone]), ['created', 'unknown'])
})

test('items that are not those of the receipt are given no outcome', async (t) => {
  const { outcomes } = await ledger.serve(t)
  const items = entries(3)
  const receipt = await ledger.receiptOf(items)
  await ledger.commit(items)
  const [first, second, third] = items
  const others = [
    [first, second],
    [second, first, third],
    [first, second, { ...third, amount: third.amount + 1n }],
    [first, second, ...entries(1)],
    [...items, ...entries(1)],
  ]
  for (const other of others) {
    const { status, document } = await outcomes(receipt, bodyOf(other))
    assert.deepEqual([status, document['field']], [400, 'items'])
    assert.match(String(document['expected']), /the 3 items of this receipt/)
  }
  const { status, document } = await outcomes(receipt, '[{}]')
  assert.deepEqual([status, document['index']], [400, 0])
})

test('5000 items over 128 partitions and two databases have their outcomes in one answer', async (t) => {
  const { outcomes } = await ledger.serve(t)
  const old = entries(1000, now - 10)
  await ledger.commit(old)
  const fresh = entries(4000)
  // Every fifth was there before.
  const items = Array.from({ length: 5000 }, (_, i) =>
    i % 5 === 0 ? { ...old[i / 5], createdAt: now } : fresh[i - Math.ceil(i / 5)],
  )
  assert.equal(new Set(items.map(({ accountId }) => partitionOfAccount(accountId))).size, 128)
  const receipt = await ledger.receiptOf(items)
  assert(receipt.length < 1000, `${receipt.length} characters`)
  await ledger.commit(items, true)
  const started = performance.now()
  const answer = await outcomes(receipt, bodyOf(items))
  t.diagnostic(`${(performance.now() - started).toFixed()} ms, ${receipt.length} characters`)
  const expected = items.map((_, i) => (i % 5 === 0 ? 'duplicate' : 'created'))
  assert.deepEqual(outcomesIn(answer, items), expected)
})

/* The last: it kills the server. */
test('while PostgreSQL is away who waits is told so when the time is over, or answered when it is back', async (t) => {
  const { get } = await ledger.serve(t)
  const items = entries(30)
  assert(new Set(items.map(({ accountId }) => databaseOfAccount(accountId))).size === 2)
  const receipt = await ledger.receiptOf(items)
  await ledger.commit(items)
  assert.equal((await get(receipt)).document['persisted'], true)
  await server.killPostmaster()
  const patient = get(receipt, '?wait=20s')
  const started = performance.now()
  const { status, headers } = await get(receipt, '?wait=400ms')
  const tookMs = performance.now() - started
  assert.deepEqual([status, headers.get('retry-after')], [503, '1'])
  assert(tookMs >= 399 && tookMs < 5000, `${tookMs} ms`)
  await server.start()
  assert.equal((await patient).document['persisted'], true)
})
