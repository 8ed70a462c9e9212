import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { startTestPostgres, type TestPostgres } from '../testing/postgres.ts'
import {
  claimAll,
  column,
  createTestLedger,
  flushOf,
  openConnection,
  testLayout,
  withConnection,
} from '../testing/ledger.ts'
import { idAt } from '../testing/rows.ts'
import { commitFlush } from './commit.ts'
import {
  dayMilliseconds,
  ensureLeaves,
  lowestIdAt,
  restLeafTable,
  analyzeGrownLeaves,
  summarizeLeaves,
  type SkippedLeaf,
} from './leaves.ts'
import { migrate } from './migrate.ts'

let server: TestPostgres

before(async () => {
  server = await startTestPostgres()
})

after(() => server.stop())

const day = 86_400_000
const silent = { warn: () => {} }

function entryAt(id: string) {
  return { accountId: crypto.randomUUID(), id, amount: 1n, createdAt: Date.now() }
}

function leavesFor(url: string, at: number): Promise<SkippedLeaf[]> {
  const span = { from: new Date(at), to: new Date(at) }
  return withConnection(url, (connection) => ensureLeaves(connection, silent, span))
}

async function leafCount(url: string): Promise<number> {
  const leaves = await column(
    url,
    `SELECT relname FROM pg_class WHERE relkind = 'p' AND relname ~ '^transactions_b.*_20\\d{6}$'`,
  )
  return leaves.length
}

/** Names of the leaves that hold rows, without their bucket. */
async function usedLeaves(url: string): Promise<unknown[]> {
  const sql = `SELECT DISTINCT substr(relname, 18) FROM ledger.transactions t
    JOIN pg_class c ON c.oid = t.tableoid ORDER BY 1`
  return column(url, sql)
}

async function commit(url: string, ids: readonly string[]): Promise<void> {
  await withConnection(url, async (connection) => {
    const checkpoints = await claimAll(connection, [...Array(128).keys()])
    const outcome = await commitFlush(connection, flushOf(ids.map(entryAt), checkpoints))
    assert.equal(outcome.kind === 'committed' && outcome.inserted, ids.length)
  })
}

test('leaves stand from yesterday to three days ahead, and asking again changes nothing', async () => {
  const url = await createTestLedger(server)
  assert.equal(await leafCount(url), 5 * testLayout.buckets)
  assert.deepEqual(await withConnection(url, (one) => ensureLeaves(one, silent)), [])
  assert.equal(await leafCount(url), 5 * testLayout.buckets)
})

test('processes that create the same leaves at once do not disturb each other', async () => {
  const url = await server.createDatabase('leaves_at_once')
  await withConnection(url, (connection) => migrate(connection, testLayout))
  const skipped = await Promise.all(
    [1, 2, 3].map(() => withConnection(url, (one) => ensureLeaves(one, silent))),
  )
  assert.deepEqual(skipped, [[], [], []])
  assert.equal(await leafCount(url), 5 * testLayout.buckets)
})

test('ids of a day go to the rest of it, its first and last instant included', async () => {
  const url = await createTestLedger(server)
  const today = Math.floor(Date.now() / day) * day
  const name = new Date(today).toISOString().slice(0, 10).replaceAll('-', '')
  await commit(url, [lowestIdAt(today), idAt(today), idAt(today + day - 1)])
  assert.deepEqual(await usedLeaves(url), [`${name}_rest`])
})

test('ids that are not of UUIDv7, or of a day far off, go to the default leaf', async () => {
  const url = await createTestLedger(server)
  await commit(url, [crypto.randomUUID(), idAt(Date.now() - 400 * day), idAt(2 ** 48 - 1)])
  assert.deepEqual(await usedLeaves(url), ['default'])
})

test('a day whose rows are in the default leaf already stays there, and is reported', async () => {
  const url = await createTestLedger(server)
  const later = Date.now() + 30 * day
  await commit(url, [idAt(later)])
  const skipped = await leavesFor(url, later)
  assert.deepEqual(
    skipped.map(({ reason }) => reason),
    ['rows of this day are in the default leaf already'],
  )
  assert.equal(await leafCount(url), 6 * testLayout.buckets - 1)
})

test('leaves are created beside a flush that is under way', async () => {
  const url = await createTestLedger(server)
  const writer = await openConnection(url)
  await writer.script(`BEGIN;
    INSERT INTO ledger.transactions
      SELECT gen_random_uuid(), '${lowestIdAt(Date.now())}', 1, now()
      FROM generate_series(1, 100)`)
  assert.deepEqual(await leavesFor(url, Date.now() + 10 * day), [])
  await writer.execute('COMMIT')
  await writer.close()
})

test('a default leaf that stays locked costs its day a leaf, never a flush its rows', async () => {
  const url = await createTestLedger(server)
  const writer = await openConnection(url)
  await writer.script('BEGIN; LOCK TABLE ledger.transactions_b00_default IN ROW EXCLUSIVE MODE')
  const skipped = await leavesFor(url, Date.now() + 10 * day)
  assert.deepEqual(
    skipped.map(({ bucket }) => bucket),
    [0],
  )
  await writer.execute('COMMIT')
  await writer.close()
  assert.deepEqual(await leavesFor(url, Date.now() + 10 * day), [])
})

test('a process that stops for good while it creates a leaf does not hold up flushes', async () => {
  const url = await createTestLedger(server)
  const stopped = await openConnection(url)
  const execute = stopped.execute.bind(stopped)
  const reached = new Promise<void>((resolve) => {
    stopped.execute = (text, values) => {
      if (text !== 'COMMIT') return execute(text, values)
      resolve()
      return new Promise(() => {})
    }
  })
  const span = { from: new Date(Date.now() + 10 * day), to: new Date(Date.now() + 10 * day) }
  void ensureLeaves(stopped, silent, span)
  await reached
  await commit(
    url,
    Array.from({ length: 40 }, () => crypto.randomUUID()),
  )
  assert.deepEqual(await usedLeaves(url), ['default'])
  await stopped.close()
})

test('rows of a leaf that grows are found by their time without reading all of it', async () => {
  const url = await createTestLedger(server)
  await withConnection(url, async (connection) => {
    const rest = restLeafTable(0, Math.floor(Date.now() / dayMilliseconds) * dayMilliseconds)
    // Rows that belong to the bucket, as many as fill some ranges of the index.
    await connection.execute(
      `INSERT INTO ledger.transactions_b00
       SELECT account_id, id, 1, now() + n * interval '1 second'
       FROM (SELECT n, gen_random_uuid() AS account_id, uuidv7() AS id
             FROM generate_series(1, 120000) n) rows
       WHERE satisfies_hash_partition('ledger.transactions'::regclass, 4, 0, account_id)`,
    )
    const pagesRead = async (): Promise<number> => {
      const [plan] = await connection.query<{ 'QUERY PLAN': [{ Plan: Record<string, number> }] }>(
        `EXPLAIN (ANALYZE, BUFFERS, TIMING off, FORMAT json) SELECT count(*) FROM ${rest}
         WHERE created_at < now() + interval '10 seconds'`,
      )
      const { 'Shared Hit Blocks': hit, 'Shared Read Blocks': read } = plan['QUERY PLAN'][0].Plan
      return hit + read
    }
    await connection.script('SET enable_seqscan = off; SET enable_indexonlyscan = off')
    const before = await pagesRead()
    await connection.script('SELECT pg_stat_force_next_flush()')
    await summarizeLeaves(connection, new Map())
    const after = await pagesRead()
    assert(after < before / 2, `${before} pages, then ${after}`)
  })
})

test('a plan made while a leaf was empty is made anew once the leaf has grown', async () => {
  const url = await createTestLedger(server)
  await withConnection(url, async (connection) => {
    const rest = restLeafTable(0, Math.floor(Date.now() / dayMilliseconds) * dayMilliseconds)
    await connection.script(`
      ANALYZE ${rest};
      SET plan_cache_mode = force_generic_plan;
      PREPARE one (uuid) AS SELECT sum(amount) FROM ${rest} WHERE account_id = $1`)
    const plan = async (): Promise<string> => {
      const sql = `EXPLAIN EXECUTE one ('${crypto.randomUUID()}')`
      const lines = await connection.query<{ 'QUERY PLAN': string }>(sql)
      return lines.map((line) => line['QUERY PLAN']).join('\n')
    }
    assert.match(await plan(), /Seq Scan/)
    await connection.execute(
      `INSERT INTO ${rest} SELECT account_id, id, 1, now()
       FROM (SELECT gen_random_uuid() AS account_id, uuidv7() AS id
             FROM generate_series(1, 60000)) rows
       WHERE satisfies_hash_partition('ledger.transactions'::regclass, 4, 0, account_id)`,
    )
    assert.match(await plan(), /Seq Scan/, 'or the test shows nothing')
    await analyzeGrownLeaves(connection)
    assert.match(await plan(), /Index/)
    assert.doesNotMatch(await plan(), /Seq Scan/)
  })
})
