import assert from 'node:assert/strict'
import { after, afterEach, before, beforeEach, test } from 'node:test'
import { parseUuid } from '../bytes/uuid.ts'
import type { Connection } from '../postgres/connection.ts'
import { claimAll, column, createTestLedger, flushOf, openConnection } from '../testing/ledger.ts'
import { testLayout } from '../testing/ledger.ts'
import { startTestPostgres, type TestPostgres } from '../testing/postgres.ts'
import { idAt, partitionOfAccount, type Entry } from '../testing/rows.ts'
import { Balances, type Wish } from './balances.ts'
import { readCheckpoints } from './checkpoint.ts'
import { commitFlush } from './commit.ts'
import { lowestIdAt } from './leaves.ts'
import { ReadDatabases } from './read-databases.ts'
import { checkRollups } from './rollup-check.ts'
import { leavesOf, type Leaf } from './rollup-leaves.ts'
import {
  arm,
  cover,
  foldDeltas,
  forgetLostLeaves,
  mergeRanges,
  rangesOf,
  rebuildLeaf,
  rollUp,
} from './rollups.ts'

let server: TestPostgres
let url: string
let connection: Connection
let databases: ReadDatabases
let balances: Balances

before(async () => {
  server = await startTestPostgres()
})
after(() => server.stop())

beforeEach(async () => {
  url = await createTestLedger(server)
  connection = await openConnection(url)
  await claimAll(connection, [...Array(128).keys()])
  const { buckets } = testLayout
  databases = new ReadDatabases({ databaseUrls: [url], buckets, logger: { warn: () => {} } })
  balances = new Balances(databases)
})

afterEach(async () => {
  await databases.close()
  await connection.close()
})

const day = 86_400_000
const today = Math.floor(Date.now() / day) * day
const noon = today + day / 2
const bucket = 1

function accountOf(wanted: number): string {
  for (;;) {
    const accountId = crypto.randomUUID()
    if (partitionOfAccount(accountId) % testLayout.buckets === wanted) return accountId
  }
}

function bytesOf(id: string): Uint8Array {
  const bytes = parseUuid(id)
  assert(bytes)
  return bytes
}

/** What PostgreSQL says without any roll-up, at most up to a moment. */
async function truth(accountId: string, at?: number): Promise<unknown> {
  const until = at === undefined ? '' : `AND created_at <= to_timestamp(${at} / 1000.0)`
  const shown = (order: string): string =>
    `(SELECT json_build_object('id', id, 'createdAt', to_char(created_at AT TIME ZONE 'UTC',
        'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')) FROM ledger.transactions
      WHERE account_id = '${accountId}' ${until} ORDER BY id ${order} LIMIT 1)`
  const [found] = await column(
    url,
    `SELECT json_build_object('balance', coalesce(sum(amount), 0)::text, 'count', count(*)::text,
       'first', ${shown('ASC')}, 'last', ${shown('DESC')})
     FROM ledger.transactions WHERE account_id = '${accountId}' ${until}`,
  )
  return found
}

function wishAt(at?: number): Wish {
  const { signal } = new AbortController()
  return at === undefined ? { signal } : { signal, at: new Date(at).toISOString() }
}

async function checkBalance(accountId: string, at?: number): Promise<void> {
  const expected = await truth(accountId, at)
  const bytes = bytesOf(accountId)
  const found = await balances.of(bytes, wishAt(at))
  if (found === undefined) {
    assert.equal((expected as { count: string }).count, '0')
    return
  }
  const { asOf, ...rest } = found
  assert.match(asOf, /Z$/)
  assert.deepEqual(rest, expected)
}

async function write(entries: readonly Entry[], mayRepeat = false): Promise<void> {
  const partitions = [...Array(128).keys()]
  const flush = flushOf(entries, await readCheckpoints(connection, partitions), mayRepeat)
  assert.equal((await commitFlush(connection, flush)).kind, 'committed')
}

async function leaf(name: RegExp): Promise<Leaf> {
  const found = (await leavesOf(connection, true)).find((one) => name.test(one.leaf))
  assert(found, String(name))
  return found
}

function restOfToday(): Promise<Leaf> {
  const name = new Date(today).toISOString().slice(0, 10).replaceAll('-', '')
  return leaf(new RegExp(`b01_${name}_rest`))
}

function entry(accountId: string, idMs: number, createdAt = noon): Entry {
  return { accountId, id: idAt(idMs), amount: 2n ** 62n + BigInt(idMs % 1000), createdAt }
}

async function faults(): Promise<unknown[]> {
  return checkRollups(connection)
}

test('a balance is the same before, between and after the two phases, and with late entries', async () => {
  const account = accountOf(bucket)
  const high = lowestIdAt(noon + 500)
  const write3 = (from: number) =>
    write([from, from + 1, from + 600].map((ms) => entry(account, noon + ms)))
  await write3(0)
  await checkBalance(account)
  const rest = await restOfToday()
  assert(await arm(connection, rest, high))
  await checkBalance(account)
  await write3(10)
  await checkBalance(account)
  assert(await cover(connection, rest, high))
  await checkBalance(account)
  assert.deepEqual(await column(url, 'SELECT count::int FROM ledger.rollups'), [4])
  assert.deepEqual(await column(url, 'SELECT count(*)::int FROM ledger.rollup_deltas'), [0])
  await write3(20)
  assert.deepEqual(await column(url, 'SELECT count(*)::int FROM ledger.rollup_deltas'), [2])
  await checkBalance(account)
  assert.deepEqual(await faults(), [])
  assert.equal(await foldDeltas(connection), 1)
  assert.deepEqual(await column(url, 'SELECT count::int FROM ledger.rollups'), [6])
  await checkBalance(account)
  assert.deepEqual(await faults(), [])
})

test('entries far from the time of their ids are told apart by when they were created', async () => {
  const account = accountOf(bucket)
  // Ids of today and of no time at all, created a year ago, now, and in between.
  const times = [noon - 365 * day, noon - 3 * day, noon, noon + 5]
  const entries = times.flatMap((createdAt, index) => [
    entry(account, noon + index * 10, createdAt),
    entry(account, noon + 1000 - index * 10, createdAt),
    { ...entry(account, noon, createdAt), id: crypto.randomUUID() },
  ])
  await write(entries)
  const rest = await restOfToday()
  assert(await rollUp(connection, rest, lowestIdAt(noon + 20)))
  assert(await rollUp(connection, await restOfToday(), lowestIdAt(noon + 985)))
  assert(await rollUp(connection, await leaf(/b01_default/), undefined))
  await write([
    entry(account, noon + 3, noon - 365 * day - 1),
    { ...entry(account, noon, noon - 9), id: crypto.randomUUID() },
  ])
  for (let i = 0; i < 2; i++) {
    await checkBalance(account)
    for (const time of times) for (const by of [-1, 0, 1]) await checkBalance(account, time + by)
    assert.deepEqual(await faults(), [])
    assert.equal(await foldDeltas(connection), i === 0 ? 2 : 0)
  }
  const before = await balances.of(bytesOf(account), wishAt(0))
  assert.deepEqual(
    { ...before, asOf: '' },
    {
      balance: '0',
      count: '0',
      first: null,
      last: null,
      asOf: '',
    },
  )
  assert.equal(await balances.of(bytesOf(accountOf(bucket)), wishAt(noon)), undefined)
})

test('a process that ends between the phases leaves nothing that counts, and another goes on', async () => {
  const account = accountOf(bucket)
  await write([entry(account, noon), entry(account, noon + 10)])
  const rest = await restOfToday()
  assert(await arm(connection, rest, lowestIdAt(noon + 100)))
  await write([entry(account, noon + 1), entry(account, noon + 2)])
  // Whoever goes on may stop earlier: what came in between is above it, and noted all the same.
  assert(await rollUp(connection, await restOfToday(), lowestIdAt(noon + 2)))
  await write([entry(account, noon + 3), entry(account, noon - 3)])
  await checkBalance(account)
  assert.deepEqual(await faults(), [])
  assert(await rollUp(connection, await restOfToday(), undefined))
  await checkBalance(account)
  assert.deepEqual(await faults(), [])
})

test('of two that roll up the same leaf one covers, and what it armed is not undone', async () => {
  const account = accountOf(bucket)
  await write([entry(account, noon)])
  const rest = await restOfToday()
  const other = await openConnection(url)
  assert(await arm(connection, rest, lowestIdAt(noon + 100)))
  assert(await arm(other, rest, lowestIdAt(noon + 50)))
  // The first would cover more than is noted now.
  assert.equal(await cover(connection, rest, lowestIdAt(noon + 100)), false)
  assert(await cover(other, rest, lowestIdAt(noon + 50)))
  assert.equal(await arm(connection, rest, lowestIdAt(noon + 49)), false)
  await write([entry(account, noon + 49)])
  await checkBalance(account)
  await other.script('BEGIN; LOCK TABLE ledger.rollup_leaves IN SHARE ROW EXCLUSIVE MODE')
  assert.equal(await rollUp(connection, rest, undefined), false)
  assert.equal(await foldDeltas(connection), undefined)
  await other.close()
})

test('an entry that comes while a leaf is summed up is in the balance all the same', async () => {
  const account = accountOf(bucket)
  await write([entry(account, noon)])
  const rest = await restOfToday()
  assert(await arm(connection, rest, undefined))
  const other = await openConnection(url)
  for (let covered = false; !covered;) {
    // Sums are made by then, and the deltas they cover are about to be dropped.
    await other.script('BEGIN; LOCK TABLE ledger.rollup_deltas IN SHARE ROW EXCLUSIVE MODE')
    const covering = cover(connection, rest, undefined)
    const waits = `SELECT FROM pg_locks WHERE NOT granted
      AND relation = 'ledger.rollup_deltas'::regclass`
    let isOver = false
    void covering.finally(() => (isOver = true))
    while (!isOver && (await other.query(waits)).length === 0);
    await other.script(`INSERT INTO ledger.${rest.leaf}
      VALUES ('${account}', '${idAt(noon)}', 5, now()); COMMIT`)
    // Where that took longer than it waits, nothing is changed.
    covered = await covering
  }
  assert.notDeepEqual(await column(url, 'SELECT count(*)::int FROM ledger.rollup_deltas'), [0])
  await checkBalance(account)
  assert.deepEqual(await faults(), [])
  await other.close()
})

test('arming waits for a flush under way, and gives up where that takes long', async () => {
  const account = accountOf(bucket)
  const rest = await restOfToday()
  const other = await openConnection(url)
  await other.script(`BEGIN; INSERT INTO ledger.${rest.leaf}
    VALUES ('${account}', '${idAt(noon)}', 1, now())`)
  assert.equal(await arm(connection, rest, undefined), false)
  await other.execute('COMMIT')
  assert(await rollUp(connection, rest, undefined))
  await checkBalance(account)
  await other.close()
})

test('merged ranges add up to the same', async () => {
  const [one, two] = [accountOf(bucket), accountOf(bucket)]
  for (let step = 0; step < 4; step++) {
    await write([entry(one, noon + step, noon - step), entry(one, noon + step, noon + step)])
    if (step % 2 === 1) await write([entry(two, noon + step)])
    assert(await rollUp(connection, await restOfToday(), lowestIdAt(noon + step + 1)))
  }
  const { leaf: name } = await restOfToday()
  const ranges = await rangesOf(connection, name)
  assert.equal(ranges.length, 4)
  assert(await mergeRanges(connection, name, ranges.slice(1)))
  assert.equal(await mergeRanges(connection, name, ranges.slice(1)), false)
  assert.equal((await rangesOf(connection, name)).length, 2)
  for (const account of [one, two]) {
    await checkBalance(account)
    for (let by = -4; by < 5; by++) await checkBalance(account, noon + by)
  }
  assert.deepEqual(await faults(), [])
})

test('roll-ups that are wrong are found, and are right once made anew', async () => {
  const account = accountOf(bucket)
  await write([entry(account, noon), entry(account, noon + 10)])
  const rest = await restOfToday()
  assert(await rollUp(connection, rest, lowestIdAt(noon + 5)))
  await column(url, 'UPDATE ledger.rollups SET sum = sum + 1')
  const [fault] = await checkRollups(connection)
  assert.equal(fault?.accountId, account)
  assert.match(fault.expected ?? '', /^1 4611\d+ /)
  await column(url, `DROP TRIGGER rollup ON ledger.${rest.leaf}`)
  await write([entry(account, noon + 1)])
  await column(url, `UPDATE ledger.rollup_ranges SET low = '${idAt(noon)}'`)
  assert.equal((await checkRollups(connection)).length, 2)
  assert(await rebuildLeaf(connection, await restOfToday()))
  await column(
    url,
    `INSERT INTO ledger.rollups SELECT account_id, -1, count, sum, first_id, first_at,
    last_id, last_at, earliest, latest FROM ledger.rollups`,
  )
  assert(await forgetLostLeaves(connection))
  await write([entry(account, noon + 2)])
  await checkBalance(account)
  assert.deepEqual(await faults(), [])
})

test('the entries of a leaf that was detached count no more once that is known', async () => {
  const account = accountOf(bucket)
  await write([entry(account, noon), entry(account, noon - day)])
  const rest = await restOfToday()
  assert(await rollUp(connection, rest, undefined))
  const dayTable = rest.leaf.replace('_rest', '')
  await column(url, `ALTER TABLE ledger.transactions_b01 DETACH PARTITION ledger.${dayTable}`)
  await column(url, `DROP TABLE ledger.${dayTable}`)
  assert(await forgetLostLeaves(connection))
  await checkBalance(account)
})

test('many accounts are answered in order, by one query a database', async () => {
  const accounts = Array.from({ length: 40 }, (_, index) => accountOf(index % 4))
  await write(accounts.slice(0, 30).map((account) => entry(account, noon)))
  const ids = accounts.map(bytesOf)
  const asked = [...ids, ...ids.slice(0, 3)]
  const found = await balances.ofMany(asked, wishAt())
  assert.deepEqual(
    found.map((one) => one?.count),
    asked.map((_, index) => (index < 30 || index >= 40 ? '1' : undefined)),
  )
  assert.equal(new Set(found.flatMap((one) => one?.asOf ?? [])).size, 1)
  const together = await Promise.all(asked.map((id) => balances.of(id, wishAt())))
  assert.deepEqual(
    together.map((one) => one?.last),
    found.map((one) => one?.last),
  )
})
