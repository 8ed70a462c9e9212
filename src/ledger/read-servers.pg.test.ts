import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { Balances } from './balances.ts'
import { durableCheckpoints } from './checkpoint.ts'
import { commitFlush } from './commit.ts'
import { ReadDatabases } from './read-databases.ts'
import {
  claimAll,
  createTestLedger,
  flushOf,
  testLayout,
  withConnection,
} from '../testing/ledger.ts'
import { replicated, startTestPostgres, type TestPostgres } from '../testing/postgres.ts'
import { idAt, uuidBytes } from '../testing/rows.ts'

const { buckets } = testLayout
const logger = { warn: () => {} }
const accounts = Array.from({ length: 8 }, () => crypto.randomUUID())
/** Two databases on one primary, and two standbys of it: a replica of each database on each. */
let primary: TestPostgres
let standbys: TestPostgres[]
const databaseUrls: string[] = []

before(async () => {
  primary = await startTestPostgres({ settings: replicated })
  for (const databaseIndex of [0, 1]) {
    databaseUrls.push(await createTestLedger(primary, { buckets, databases: 2, databaseIndex }))
  }
  standbys = [
    await startTestPostgres({ standbyOf: primary }),
    await startTestPostgres({ standbyOf: primary }),
  ]
  await deposit(1n)
})

after(async () => {
  for (const standby of standbys) await standby.stop()
  await primary.stop()
})

/** Gives each account one more entry of this amount, in whichever database has it. */
async function deposit(amount: bigint): Promise<void> {
  const reads = new ReadDatabases({ databaseUrls, buckets, logger })
  for (const [index, url] of databaseUrls.entries()) {
    await withConnection(url, async (connection) => {
      const checkpoints = await claimAll(connection, [...Array(128).keys()])
      const own: string[] = []
      for (const account of accounts) {
        const { databaseIndex } = await reads.poolOf(uuidBytes(account))
        if (databaseIndex === index) own.push(account)
      }
      const createdAt = Date.now()
      const entries = own.map((accountId) => ({
        accountId,
        id: idAt(createdAt),
        amount,
        createdAt,
      }))
      await commitFlush(connection, flushOf(entries, checkpoints))
      await durableCheckpoints(connection)
    })
  }
  await reads.close()
}

/** The replicas' URLs of both databases, those of the second first. */
function replicaUrls(servers: readonly TestPostgres[]): string[] {
  return servers.flatMap(({ url }) => {
    return databaseUrls.toReversed().map((original) => {
      return url.replace(/\/[^/]*$/, new URL(original).pathname)
    })
  })
}

const { signal } = new AbortController()

async function balances(reads: ReadDatabases): Promise<(string | undefined)[]> {
  const all = accounts.map((account) => new Balances(reads).of(uuidBytes(account), { signal }))
  return (await Promise.all(all)).map((summary) => summary?.balance)
}

async function eventually(condition: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 15_000
  while (!(await condition().catch(() => false))) {
    assert(performance.now() < deadline, 'in time')
    await delay(20)
  }
}

const every = (balance: string): string[] => accounts.map(() => balance)

test('replicas are enough, in any order: each says which database it has', async () => {
  const reads = new ReadDatabases({
    databaseUrls: [],
    replicaUrls: replicaUrls(standbys),
    buckets,
    logger,
  })
  await eventually(async () => (await balances(reads)).every((balance) => balance === '1'))
  await reads.check()
  assert.deepEqual(
    reads.states.map(({ standing, reason }) => [standing, reason]),
    Array(4).fill(['fresh', undefined]),
  )
  await reads.close()
})

test('one that belongs to another ledger is not read from, and is said to be wrong', async () => {
  const other = await createTestLedger(primary, { ...testLayout, buckets: 8 })
  const reads = new ReadDatabases({
    databaseUrls,
    replicaUrls: [other, ...replicaUrls(standbys.slice(0, 1))],
    buckets,
    logger,
  })
  await reads.check()
  assert.deepEqual(await balances(reads), every('1'))
  const wrong = reads.states.filter(({ reason }) => reason !== undefined)
  assert.equal(wrong.length, 1)
  assert.match(String(wrong[0].reason), /expected 4 buckets.*found 8 buckets/)
  await reads.close()
})

test('a replica that dies is passed over within the read, and taken up again', async () => {
  const reads = new ReadDatabases({
    databaseUrls: [],
    replicaUrls: replicaUrls(standbys),
    buckets,
    logger,
  })
  await reads.check()
  await standbys[0].killPostmaster()
  for (let round = 0; round < 5; round++) assert.deepEqual(await balances(reads), every('1'))
  await reads.check()
  assert.equal(reads.states.filter(({ standing }) => standing === 'away').length, 2)
  await standbys[0].start()
  await eventually(async () => {
    await reads.check()
    return reads.states.every(({ standing }) => standing === 'fresh')
  })
  await reads.close()
})

test('where no replica answers, the primary does, if it is given', async () => {
  const away = ['postgresql://a:b@127.0.0.1:1/c']
  const reads = new ReadDatabases({ databaseUrls, replicaUrls: away, buckets, logger })
  assert.deepEqual(await balances(reads), every('1'))
  await reads.check()
  assert.deepEqual(
    reads.states.map(({ standing }) => standing),
    ['fresh', 'fresh', 'away'],
  )
  await reads.close()
  const alone = new ReadDatabases({ databaseUrls: [], replicaUrls: away, buckets, logger })
  await assert.rejects(balances(alone), { code: 'DATABASE_UNAVAILABLE' })
  await assert.rejects(alone.check(), { code: 'DATABASE_UNAVAILABLE' })
  await alone.close()
})

test('a replica too far behind is not read from: the primary is, or nobody', async () => {
  const [standby] = standbys
  const urls = replicaUrls([standby])
  const admin = standby.url
  const lag = { replicaLagSecondsMax: 0.5, buckets, logger }
  await withConnection(admin, (connection) => connection.execute('SELECT pg_wal_replay_pause()'))
  await deposit(10n)
  const both = new ReadDatabases({ databaseUrls, replicaUrls: urls, ...lag })
  const alone = new ReadDatabases({ databaseUrls: [], replicaUrls: urls, ...lag })
  await eventually(async () => {
    await both.check()
    return both.states.filter(({ standing }) => standing === 'late').length === 2
  })
  assert.deepEqual(await balances(both), every('11'))
  await assert.rejects(balances(alone), { code: 'DATABASE_UNAVAILABLE', message: /s behind/ })
  await withConnection(admin, (connection) => connection.execute('SELECT pg_wal_replay_resume()'))
  await eventually(async () => {
    await alone.check()
    return alone.states.every(({ standing }) => standing === 'fresh')
  })
  assert.deepEqual(await balances(alone), every('11'))
  await both.close()
  await alone.close()
})

test('the primary may be gone: its replicas answer, and say as of when', async () => {
  const options = { replicaLagSecondsMax: 0.1, buckets, logger }
  const reads = new ReadDatabases({ databaseUrls, replicaUrls: replicaUrls(standbys), ...options })
  await eventually(async () => (await balances(reads)).every((balance) => balance === '11'))
  await primary.killPostmaster()
  const before = new Date().toISOString()
  await eventually(async () => {
    await reads.check()
    return reads.states.filter(({ standing }) => standing === 'cut-off').length === 4
  })
  assert.deepEqual(await balances(reads), every('11'))
  const summary = await new Balances(reads).of(uuidBytes(accounts[0]), { signal })
  assert(String(summary?.asOf) < before, 'no later than what the replica has')
  await primary.start()
  await eventually(async () => {
    await reads.check()
    return reads.states.every(({ standing }) => standing === 'fresh')
  })
  await reads.close()
})
