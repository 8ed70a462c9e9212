import assert from 'node:assert/strict'
import { after, before, beforeEach, afterEach, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { bucketLeavesMax } from '../limits.ts'
import type { Connection } from '../postgres/connection.ts'
import { claimAll, column, createTestLedger, flushOf, ledgerRows } from '../testing/ledger.ts'
import { openConnection, rowText, testLayout } from '../testing/ledger.ts'
import { startTestPostgres, type TestPostgres } from '../testing/postgres.ts'
import { idAt, partitionOfAccount, type Entry } from '../testing/rows.ts'
import { readCheckpoints } from './checkpoint.ts'
import { commitFlush } from './commit.ts'
import type { Flush } from './flush.ts'
import {
  openLeaf,
  openLeafTable,
  scansOf,
  sealBucket,
  sealLeaf,
  type IdSpan,
} from './open-leaves.ts'

let server: TestPostgres
let url: string
let connection: Connection

before(async () => {
  // A standby that never comes keeps a COMMIT waiting, for as long as a test names one.
  server = await startTestPostgres({
    settings: { wal_level: 'replica', max_wal_senders: '1', wal_writer_delay: '10s' },
  })
})

after(() => server.stop())

beforeEach(async () => {
  url = await createTestLedger(server)
  connection = await openConnection(url)
})

afterEach(() => connection.close())

const day = 86_400_000
/** Ten seconds from noon on, so that it never reaches into the next day. */
const noon = Math.floor(Date.now() / day) * day + day / 2
const span: IdSpan = { from: noon, to: noon + 10_000 }
const bucket = 1
const partitions = [...Array(128).keys()].filter((one) => one % testLayout.buckets === bucket)

/** An entry of the bucket, with an id of this time. */
function entry(milliseconds: number, amount = 1n): Entry {
  for (;;) {
    const accountId = crypto.randomUUID()
    if (partitionOfAccount(accountId) % testLayout.buckets !== bucket) continue
    return { accountId, id: idAt(milliseconds), amount, createdAt: noon }
  }
}

async function hold(): Promise<{ partition: number; epoch: number }[]> {
  return claimAll(connection, partitions)
}

async function flush(entries: readonly Entry[], isOpen: boolean): Promise<Flush> {
  const made = flushOf(entries, await readCheckpoints(connection, partitions))
  for (const rows of made.buckets) rows.isOpen = isOpen
  return made
}

function leafOf({ id }: Entry): Promise<unknown[]> {
  return column(
    url,
    `SELECT 'ledger.' || relname FROM ledger.transactions t JOIN pg_class c ON c.oid = t.tableoid
     WHERE id = '${id}'`,
  )
}

function indexes(table: string): Promise<unknown[]> {
  return column(url, `SELECT indexrelid FROM pg_index WHERE indrelid = '${table}'::regclass`)
}

test('ids of its span go to an open leaf, which has no index, and all others elsewhere', async () => {
  assert.equal(await openLeaf(connection, bucket, span, await hold()), undefined)
  const entries = [span.from - 1, span.from, span.to - 1, span.to].map((time) => entry(time))
  assert.equal((await commitFlush(connection, await flush(entries, true))).kind, 'committed')
  const leaf = openLeafTable(bucket, span)
  assert.deepEqual(await indexes(leaf), [])
  const leaves = await Promise.all(entries.map(leafOf))
  assert.deepEqual(
    leaves.flat().map((one) => one === leaf),
    [false, true, true, false],
  )
})

test('nobody opens a leaf of a bucket that is not all his', async () => {
  const held = await hold()
  const refused = 'somebody else holds partitions of the bucket'
  assert.equal(await openLeaf(connection, bucket, span, held.slice(1)), refused)
  const rival = await openConnection(url)
  await claimAll(rival, [partitions[3] ?? -1], 'rival')
  assert.equal(await openLeaf(connection, bucket, span, held), refused)
  await rival.close()
  assert.deepEqual(await column(url, `SELECT to_regclass('${openLeafTable(bucket, span)}')`), [
    null,
  ])
})

test('a leaf is not opened over rows that are there, and nothing is changed', async () => {
  const held = await hold()
  const early = entry(span.from + 5)
  await commitFlush(connection, await flush([early], false))
  const reason = await openLeaf(connection, bucket, span, held)
  assert.equal(reason, 'rows of this span are in the rest of the day already')
  assert.deepEqual(await ledgerRows(url), [rowText(early)])
})

test('a span that has a leaf gets no second one', async () => {
  const held = await hold()
  assert.equal(await openLeaf(connection, bucket, span, held), undefined)
  const again = await openLeaf(connection, bucket, span, held)
  const overlapping = { from: span.from + 5000, to: span.to + 5000 }
  assert.equal(again, 'there is a leaf of this span')
  assert.equal(await openLeaf(connection, bucket, overlapping, held), again)
})

test('a bucket that has as many leaves as queries can bear gets no more', async () => {
  const held = await hold()
  let reason: string | undefined
  for (let i = 0; i <= bucketLeavesMax && reason === undefined; i++) {
    const from = noon + i * 1000
    reason = await openLeaf(connection, bucket, { from, to: from + 1000 }, held)
  }
  assert.equal(reason, `the bucket has ${bucketLeavesMax} leaves`)
  const other = partitions.map((one) => one + 1)
  const otherHeld = await claimAll(connection, other)
  assert.equal(await openLeaf(connection, bucket + 1, span, otherHeld), undefined)
})

test('once sealed a leaf refuses a key it has, as every leaf does', async () => {
  await openLeaf(connection, bucket, span, await hold())
  const one = entry(span.from)
  await commitFlush(connection, await flush([one], true))
  await sealBucket(connection, bucket)
  const outcome = await commitFlush(connection, await flush([one, { ...one, amount: 2n }], false))
  assert.deepEqual(outcome, {
    kind: 'committed',
    inserted: 0,
    duplicates: 1,
    conflicts: 1,
    held: 0,
    mergedBuckets: [bucket],
    repeatingBuckets: [bucket],
  })
  assert.deepEqual(await ledgerRows(url), [rowText(one)])
  assert.equal((await indexes(openLeafTable(bucket, span))).length, 2)
})

test('rows that have to be merged wait until the bucket is sealed, and nothing of them is written', async () => {
  const old = entry(noon - 1)
  await hold()
  await commitFlush(connection, await flush([old], false))
  await openLeaf(connection, bucket, span, await hold())
  const repeating = await flush([old, entry(span.from)], true)
  assert.deepEqual(await commitFlush(connection, repeating), { kind: 'unsealed', bucket })
  assert.deepEqual(await ledgerRows(url), [rowText(old)])
  await sealBucket(connection, bucket)
  for (const rows of repeating.buckets) rows.isOpen = false
  assert.equal((await commitFlush(connection, repeating)).kind, 'committed')
  assert.equal((await ledgerRows(url)).length, 2)
})

test('sealing again, and by two at once, does nothing more', async () => {
  await openLeaf(connection, bucket, span, await hold())
  const leaf = openLeafTable(bucket, span)
  const other = await openConnection(url)
  await Promise.all([sealLeaf(connection, bucket, leaf), sealLeaf(other, bucket, leaf)])
  await sealBucket(connection, bucket)
  await other.close()
  assert.equal((await indexes(leaf)).length, 2)
})

test('a key that stands in a leaf twice is reported when the leaf is sealed, and stays visible', async () => {
  await openLeaf(connection, bucket, span, await hold())
  const one = entry(span.from)
  await commitFlush(connection, await flush([one], true))
  await commitFlush(connection, await flush([one], true))
  await assert.rejects(sealBucket(connection, bucket), {
    code: 'KEY_VIOLATED',
    message: /ledger\.transactions_b01_\d{8}_120000/,
  })
  assert.equal((await ledgerRows(url)).length, 2)
})

/** Resolves once the query has a row, or there is no more reason to ask. */
async function awaitRow(sql: string, isOver = (): boolean => false): Promise<void> {
  while (!isOver() && (await column(url, sql)).length === 0) await delay(5)
}

async function awaitStandby(name: string): Promise<void> {
  await column(url, `ALTER SYSTEM SET synchronous_standby_names = '${name}'`)
  await column(url, 'SELECT pg_reload_conf()')
}

test('a leaf whose opening is still being committed by a session that was cut is sealed too', async () => {
  const held = await hold()
  const session = await openConnection(url)
  await awaitStandby('nobody')
  const opening = openLeaf(session, bucket, span, held).catch(() => undefined)
  await awaitRow(`SELECT 1 FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND query = 'COMMIT'`)
  session.destroy()
  await opening
  let isOver = false
  const sealing = sealBucket(connection, bucket).finally(() => {
    isOver = true
  })
  const waiting = 'SELECT 1 FROM pg_locks WHERE NOT granted'
  await awaitRow(waiting, () => isOver)
  await awaitStandby('')
  await sealing
  const leaf = openLeafTable(bucket, span)
  await awaitRow(`SELECT 1 WHERE to_regclass('${leaf}') IS NOT NULL`)
  assert.equal((await indexes(leaf)).length, 2)
})

test('a key outlives a crash of PostgreSQL, whatever the database says of commits', async () => {
  await openLeaf(connection, bucket, span, await hold())
  await column(
    url,
    `DO $$ BEGIN
       EXECUTE format('ALTER DATABASE %I SET synchronous_commit = off', current_database());
     END $$`,
  )
  const session = await openConnection(url)
  await sealLeaf(session, bucket, openLeafTable(bucket, span))
  await server.killPostmaster()
  await server.start()
  assert.equal((await indexes(openLeafTable(bucket, span))).length, 2)
  await session.close()
})

test('it is known how often an open leaf has been read', async () => {
  await openLeaf(connection, bucket, span, await hold())
  const leaf = openLeafTable(bucket, span)
  const [before] = await scansOf(connection, [leaf])
  const reader = await openConnection(url)
  for (let i = 0; i < 3; i++) await reader.execute(`SELECT count(*) FROM ${leaf} WHERE amount = 1`)
  await reader.close()
  // A session reports what it did when it ends, at the latest.
  let scans = before
  while (scans < before + 3) {
    await delay(20)
    ;[scans] = await scansOf(connection, [leaf])
  }
})
