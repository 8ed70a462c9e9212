import assert from 'node:assert/strict'
import { after, before, beforeEach, afterEach, test } from 'node:test'
import { createTestLedger, column, claimAll, flushOf, ledgerRows } from '../testing/ledger.ts'
import { openConnection, rowText, testLayout, testLog } from '../testing/ledger.ts'
import { startTestPostgres, type TestPostgres } from '../testing/postgres.ts'
import { copyData, idAt, partitionOfAccount, type Entry } from '../testing/rows.ts'
import type { Connection } from '../postgres/connection.ts'
import { readCheckpoints } from './checkpoint.ts'
import { commitFlush } from './commit.ts'
import type { Flush, FlushOutcome } from './flush.ts'

let server: TestPostgres
let url: string
let connection: Connection

before(async () => {
  server = await startTestPostgres()
})

after(() => server.stop())

beforeEach(async () => {
  url = await createTestLedger(server)
  connection = await openConnection(url)
  await claimAll(connection, everyPartition)
})

afterEach(() => connection.close())

const everyPartition = [...Array(128).keys()]
const createdAt = Date.now()

function entry(amount = 1n, more: Partial<Entry> = {}): Entry {
  return { accountId: crypto.randomUUID(), id: idAt(createdAt), amount, createdAt, ...more }
}

/** Commits the entries as the next record of each partition they touch. */
async function apply(entries: readonly Entry[], mayRepeat = false): Promise<FlushOutcome> {
  const checkpoints = await readCheckpoints(connection, everyPartition)
  return commitFlush(connection, flushOf(entries, checkpoints, mayRepeat))
}

function committed(inserted: number, duplicates = 0, conflicts = 0, mergedBuckets: number[] = []) {
  const repeatingBuckets = duplicates + conflicts > 0 ? mergedBuckets : []
  const counts = { inserted, duplicates, conflicts, held: 0 }
  return { kind: 'committed', ...counts, mergedBuckets, repeatingBuckets }
}

function bucketOfEntry({ accountId }: Entry): number {
  return partitionOfAccount(accountId) % testLayout.buckets
}

/** What a flush left in the tables, to be compared with what should be there. */
async function checkLedger(entries: readonly Entry[], conflicts: readonly string[] = []) {
  assert.deepEqual(await ledgerRows(url), entries.map(rowText).sort())
  const found = await column(
    url,
    `SELECT concat_ws(' ', account_id, id, amount, recorded_amount) FROM ledger.conflicts`,
  )
  assert.deepEqual(found.sort(), [...conflicts].sort())
}

function conflictText(refused: Entry, recorded: Entry): string {
  return `${refused.accountId} ${refused.id} ${refused.amount} ${recorded.amount}`
}

test('every row of a flush is in the ledger, and its checkpoints have moved', async () => {
  const entries = Array.from({ length: 500 }, (_, index) => entry(BigInt(index)))
  assert.deepEqual(await apply(entries), committed(500))
  await checkLedger(entries)
  const touched = new Set(entries.map(({ accountId }) => partitionOfAccount(accountId)))
  for (const { partition, nextOffset } of await readCheckpoints(connection, everyPartition)) {
    assert.equal(nextOffset, touched.has(partition) ? 1 : 0)
  }
})

test('the extremes of int64 are kept exactly, and their sum beyond int64 too', async () => {
  const accountId = crypto.randomUUID()
  const amounts = [2n ** 63n - 1n, 2n ** 63n - 2n, -(2n ** 63n), 2n ** 63n - 1n]
  const entries = amounts.map((amount) => entry(amount, { accountId }))
  await apply(entries)
  await checkLedger(entries)
  const [sum] = await column(url, 'SELECT sum(amount)::text FROM ledger.transactions')
  assert.equal(sum, String(2n ** 64n - 4n))
})

test('a flush applied again under new offsets changes nothing', async () => {
  const entries = [1n, 2n, 3n].map((amount) => entry(amount))
  await apply(entries)
  const merged = [...new Set(entries.map(bucketOfEntry))]
  assert.deepEqual(await apply(entries), committed(0, 3, 0, merged))
  assert.deepEqual(await apply(entries, true), committed(0, 3, 0, merged))
  await checkLedger(entries)
})

test('new rows beside repeated ones are taken', async () => {
  const accountId = crypto.randomUUID()
  const [known, fresh] = [entry(1n, { accountId }), entry(2n, { accountId })]
  await apply([known])
  const bucket = bucketOfEntry(known)
  assert.deepEqual(await apply([fresh, known]), committed(1, 1, 0, [bucket]))
  await checkLedger([known, fresh])
})

test('the same entry twice in one flush is one row', async () => {
  const one = entry(7n)
  assert.deepEqual(await apply([one, one]), committed(1, 1, 0, [bucketOfEntry(one)]))
  await checkLedger([one])
})

test('of two amounts for one key in a flush the first in log order stands', async () => {
  const first = entry(7n)
  const second = { ...first, amount: 3n, createdAt: createdAt + 1 }
  const third = { ...first, amount: 9n, createdAt: createdAt + 2 }
  const bucket = bucketOfEntry(first)
  const flushed = await apply([first, second, third, second, first])
  assert.deepEqual(flushed, committed(1, 1, 3, [bucket]))
  await checkLedger([first], [conflictText(second, first), conflictText(third, first)])
})

test('log order decides within a flush of many rows too', async () => {
  const accountId = crypto.randomUUID()
  const firsts = Array.from({ length: 20_000 }, () => entry(1n, { accountId }))
  const seconds = firsts.map((first) => ({ ...first, amount: 2n }))
  const bucket = partitionOfAccount(accountId) % testLayout.buckets
  const outcome = await apply([...firsts, ...seconds])
  assert.deepEqual(outcome, committed(20_000, 0, 20_000, [bucket]))
  const [sum] = await column(url, 'SELECT sum(amount)::text FROM ledger.transactions')
  assert.equal(sum, '20000')
})

test('doubtful rows are merged after those that are taken for new, whether these repeat or not', async () => {
  const accountId = crypto.randomUUID()
  const bucket = partitionOfAccount(accountId) % testLayout.buckets
  const [known, fresh, first] = [1n, 2n, 3n].map((amount) => entry(amount, { accountId }))
  const second = { ...first, amount: 4n }
  const split = async (taken: Entry[], doubted: Entry[]): Promise<FlushOutcome> => {
    const checkpoints = await readCheckpoints(connection, everyPartition)
    const flush = flushOf([...taken, ...doubted], checkpoints)
    const doubtful = { copy: copyData(doubted), rows: doubted.length }
    const rows = { bucket, copy: copyData(taken), rows: taken.length, doubtful, isOpen: false }
    return commitFlush(connection, { ...flush, buckets: [rows] })
  }
  await apply([known])
  assert.deepEqual(await split([fresh, first], [second, known]), committed(2, 1, 1, [bucket]))
  assert.deepEqual(await split([fresh, first], [second, known]), committed(0, 3, 1, [bucket]))
  const late = entry(5n, { accountId })
  assert.deepEqual(await split([], [late]), committed(1, 0, 0, [bucket]))
  await checkLedger([known, fresh, first, late], [conflictText(second, first)])
})

test('another amount for a known key is one conflict, however often it comes', async () => {
  const known = entry(7n)
  const other = { ...known, amount: -7n }
  const bucket = bucketOfEntry(known)
  await apply([known])
  assert.deepEqual(await apply([other]), committed(0, 0, 1, [bucket]))
  assert.deepEqual(await apply([other, known]), committed(0, 1, 1, [bucket]))
  await checkLedger([known], [conflictText(other, known)])
})

test('the same id on two accounts is two entries', async () => {
  const debit = entry(-5n)
  const credit = entry(5n, { id: debit.id })
  assert.deepEqual(await apply([debit, credit]), committed(2))
  await checkLedger([debit, credit])
})

test('only the bucket whose key was there is merged', async () => {
  const known = entry(1n)
  await apply([known])
  const others = Array.from({ length: 200 }, () => entry(1n))
  const outcome = await apply([known, ...others])
  assert.deepEqual(outcome, committed(200, 1, 0, [bucketOfEntry(known)]))
  await checkLedger([known, ...others])
})

test('a merge looks keys up and never reads a whole bucket', async () => {
  const entries = Array.from({ length: 300 }, () => entry(1n))
  await apply(entries)
  await apply(
    entries.map((one) => ({ ...one, amount: 2n })),
    true,
  )
  // Counted by PostgreSQL itself, once this session has reported.
  await connection.execute('SELECT pg_stat_force_next_flush()')
  const [scans] = await column(
    url,
    `SELECT sum(idx_scan)::int FROM pg_stat_user_tables WHERE relname ~ '^transactions_b'`,
  )
  assert(Number(scans) >= 300, `${String(scans)} index scans`)
})

test('a flush whose checkpoint is elsewhere writes nothing and learns where it is', async () => {
  const entries = [entry(1n)]
  const partition = partitionOfAccount(entries[0]?.accountId ?? '')
  const [checkpoint] = await readCheckpoints(connection, [partition])
  assert(checkpoint)
  const flush = flushOf(entries, [checkpoint])
  const wrong: Flush[] = [
    { ...flush, steps: [{ partition, from: 5, to: 6, epoch: checkpoint.epoch }] },
    { ...flush, steps: [{ partition, from: 0, to: 1, epoch: checkpoint.epoch - 1 }] },
  ]
  for (const one of wrong) {
    assert.deepEqual(await commitFlush(connection, one), {
      kind: 'stale',
      checkpoints: [checkpoint],
    })
  }
  await checkLedger([])
  // The connection is as good as before.
  assert.deepEqual(await commitFlush(connection, flush), committed(1))
})

test('one wrong checkpoint among many holds back the whole flush', async () => {
  const entries = Array.from({ length: 50 }, () => entry(1n))
  const flush = flushOf(entries, await readCheckpoints(connection, everyPartition))
  const steps = flush.steps.map((step, index) => (index === 3 ? { ...step, from: 1, to: 2 } : step))
  const outcome = await commitFlush(connection, { ...flush, steps })
  assert.equal(outcome.kind, 'stale')
  await checkLedger([])
  const offsets = await column(url, 'SELECT max(next_offset)::int FROM ledger.checkpoints')
  assert.deepEqual(offsets, [0])
})

test('a record that cannot be decoded is kept whole, and the partition moves on', async () => {
  const bytes = Uint8Array.of(0, 255, 10)
  const reason = 'expected a tag at byte 0, found 00 \0'
  const quarantined = [{ partition: 3, offset: 0, timestamp: createdAt, reason, bytes }]
  const steps = [{ partition: 3, from: 0, to: 1, epoch: 1 }]
  const outcome = await commitFlush(connection, { steps, buckets: [], quarantined })
  assert.deepEqual(outcome, committed(0))
  const kept = await column(
    url,
    `SELECT concat_ws(' | ', log_identity, partition, log_offset, reason, bytes,
       round(extract(epoch FROM created_at) * 1000)) FROM ledger.quarantine`,
  )
  const expected = [testLog, 3, 0, 'expected a tag at byte 0, found 00 \\0', '\\x00ff0a', createdAt]
  assert.deepEqual(kept, [expected.join(' | ')])
  const [moved] = await readCheckpoints(connection, [3])
  assert.equal(moved.nextOffset, 1)
})

test('a quarantined record that is replayed is kept once', async () => {
  const quarantined = [
    { partition: 3, offset: 0, timestamp: 0, reason: 'x', bytes: new Uint8Array(1) },
  ]
  const steps = [{ partition: 3, from: 0, to: 1, epoch: 1 }]
  await commitFlush(connection, { steps, buckets: [], quarantined })
  // As after a crash of PostgreSQL that lost the checkpoint but, for argument's sake, not the row.
  await column(url, 'UPDATE ledger.checkpoints SET next_offset = 0')
  await commitFlush(connection, { steps, buckets: [], quarantined })
  assert.deepEqual(await column(url, 'SELECT count(*)::int FROM ledger.quarantine'), [1])
})

test('a row in a bucket that is not its own is a bug, and nothing of its flush is written', async () => {
  const one = entry(1n)
  const flush = flushOf([one], await readCheckpoints(connection, everyPartition))
  const bucket = (bucketOfEntry(one) + 1) % testLayout.buckets
  const doubtful = { copy: copyData([]), rows: 0 }
  const rows = { bucket, copy: copyData([one]), rows: 1, doubtful, isOpen: false }
  await assert.rejects(commitFlush(connection, { ...flush, buckets: [rows] }), {
    code: '23514',
    message: /violates partition constraint/,
  })
  connection = await openConnection(url)
  await checkLedger([])
})

test('COPY data that PostgreSQL cannot read is a bug, and nothing of its flush is written', async () => {
  const one = entry(1n)
  const flush = flushOf([one], await readCheckpoints(connection, everyPartition))
  const broken = flush.buckets.map((rows) => ({ ...rows, copy: rows.copy.subarray(0, 60) }))
  await assert.rejects(commitFlush(connection, { ...flush, buckets: broken }), { code: '22P04' })
  connection = await openConnection(url)
  await checkLedger([])
})

test('a flush leaves nothing on its session, so a pooler may lend it to another', async () => {
  const known = entry(1n)
  await apply([known])
  await apply([known, entry(1n)])
  const left = await connection.query(
    `SELECT current_setting('synchronous_commit') AS commit,
       current_setting('enable_hashjoin') AS join,
       (SELECT count(*)::int FROM pg_prepared_statements) AS prepared,
       (SELECT count(*)::int FROM pg_locks
        WHERE pid = pg_backend_pid() AND locktype = 'advisory') AS locks,
       to_regclass('pg_temp.incoming')::text AS temporary`,
  )
  assert.deepEqual(left, [{ commit: 'on', join: 'on', prepared: 0, locks: 0, temporary: null }])
})
