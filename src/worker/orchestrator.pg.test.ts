import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test, { after, before, type TestContext } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import pino from 'pino'
import { openEmbeddedLog } from '../log/embedded.ts'
import type { Log } from '../log/log.ts'
import { staticMembership } from '../log/static-membership.ts'
import { metrics } from '../observe/metrics.ts'
import { encodeBatch } from '../record/encode.ts'
import { column, createTestLedger, withConnection } from '../testing/ledger.ts'
import { startTestPostgres, type TestPostgres } from '../testing/postgres.ts'
import { idAt, partitionOfAccount, uuidBytes } from '../testing/rows.ts'
import { Orchestrator } from './orchestrator.ts'

let server: TestPostgres
before(async () => {
  server = await startTestPostgres()
})
after(() => server.stop())

const all = Array.from({ length: 128 }, (_, partition) => partition)

interface Scene {
  log: Log
  url: string
  sent: Set<string>
  /** Appends a record of `count` transactions of one account. */
  append(count: number): Promise<void>
  work(owner?: string, partitions?: readonly number[]): Promise<Orchestrator>
}

/** A log and a ledger of their own, with 4 buckets and 2 workers. */
async function scene(context: TestContext): Promise<Scene> {
  const directory = await mkdtemp(join(tmpdir(), 'ledger-worker-'))
  const log = await openEmbeddedLog({ directory, diskBytesMax: 2 ** 28 })
  const url = await createTestLedger(server)
  const workers: Orchestrator[] = []
  const sent = new Set<string>()
  context.after(async () => {
    for (const one of workers) await one.stop(AbortSignal.timeout(2000))
    await log.close()
    await rm(directory, { recursive: true })
  })
  return {
    log,
    url,
    sent,
    async append(count) {
      const accountId = randomUUID()
      const entries = Array.from({ length: count }, (_, i) => {
        const id = idAt(Date.now())
        sent.add(`${accountId} ${id} ${i - 5}`)
        return { id: uuidBytes(id), accountId: uuidBytes(accountId), amount: BigInt(i - 5) }
      })
      await log.append(partitionOfAccount(accountId), encodeBatch(entries))
    },
    async work(owner = 'test', partitions = all) {
      const one = new Orchestrator({
        log,
        membership: staticMembership(partitions),
        databaseUrls: [url],
        layout: { workers: 2, buckets: 4, databases: 1 },
        owner,
        reclaims: false,
        logger: pino({ level: 'silent' }),
        logLevel: 'silent',
        logFormat: 'json',
        crashAt: undefined,
        openLeafRate: Infinity,
        onCommitted: () => undefined,
        onFatal: (error) => assert.fail(error),
      })
      workers.push(one)
      await one.start()
      await one.settled(AbortSignal.timeout(10_000))
      return one
    },
  }
}

async function checkRows({ url, sent }: Scene): Promise<void> {
  const rows = await column(
    url,
    "SELECT concat_ws(' ', account_id, id, amount) FROM ledger.transactions",
  )
  const found = new Set(rows)
  const missing = [...sent].filter((row) => !found.has(row)).length
  const invented = rows.filter((row) => !sent.has(String(row))).length
  const doubled = rows.length - found.size
  assert.deepEqual({ missing, invented, doubled }, { missing: 0, invented: 0, doubled: 0 })
}

/** Resolves when the condition holds; fails after ten seconds. */
async function until(holds: () => boolean | Promise<boolean>, what: string): Promise<void> {
  const deadline = Date.now() + 10_000
  while (!(await holds())) {
    assert.ok(Date.now() < deadline, `expected within ten seconds: ${what}`)
    await delay(10)
  }
}

test('what is in the log before and while the workers run becomes rows, once', async (context) => {
  const here = await scene(context)
  for (let i = 0; i < 50; i++) await here.append(20)
  const workers = await here.work()
  for (let i = 0; i < 50; i++) await here.append(1 + (i % 7))
  await workers.drain(AbortSignal.timeout(10_000))
  await checkRows(here)
  assert.deepEqual(workers.reasons(), [])
})

test('a second start goes on from the checkpoints', async (context) => {
  const here = await scene(context)
  await here.append(30)
  const first = await here.work()
  await first.drain(AbortSignal.timeout(10_000))
  await first.stop(AbortSignal.timeout(5000))
  await here.append(30)
  const second = await here.work()
  await second.drain(AbortSignal.timeout(10_000))
  await checkRows(here)
})

test('bytes that are no batch are quarantined whole, and the partition goes on', async (context) => {
  const here = await scene(context)
  await here.append(3)
  const garbage = Buffer.from('not a batch')
  await here.log.append(7, garbage)
  await here.log.append(7, encodeBatch([]))
  const workers = await here.work()
  await here.append(3)
  await workers.drain(AbortSignal.timeout(10_000))
  await checkRows(here)
  const quarantined = await withConnection(here.url, (connection) => {
    return connection.query('SELECT partition, bytes, reason FROM ledger.quarantine')
  })
  assert.equal(quarantined.length, 1)
  const [{ partition, bytes, reason }] = quarantined as Record<string, unknown>[]
  assert.equal(partition, 7)
  assert.deepEqual(bytes, garbage)
  assert.match(String(reason), /expected .* found /)
})

test('a record of a time that no calendar has is quarantined too', async (context) => {
  const here = await scene(context)
  const { log } = here
  const openReader = log.openReader.bind(log)
  // Nanoseconds where the log has milliseconds: some other producer's mistake.
  log.openReader = async (options) => {
    const reader = await openReader(options)
    const read = reader.read.bind(reader)
    reader.read = async (maxBytes) => {
      const records = await read(maxBytes)
      return records.map((record) => {
        return record.partition === 7 ? { ...record, timestamp: 1.7e18 } : record
      })
    }
    return reader
  }
  await log.append(7, encodeBatch([]))
  await log.append(7, Buffer.from('not a batch'))
  for (let i = 0; i < 20; i++) await here.append(3)
  const workers = await here.work()
  await workers.drain(AbortSignal.timeout(10_000))
  const reasons = await column(here.url, 'SELECT reason FROM ledger.quarantine WHERE partition = 7')
  assert.match(String(reasons[0]), /expected a time .* found 1700000000000000000/)
  const partitions = await column(
    here.url,
    'SELECT next_offset FROM ledger.checkpoints WHERE partition = 7',
  )
  assert.ok(Number(partitions[0]) >= 2)
})

test('of two processes with the same partitions the later one writes, and the other says so', async (context) => {
  const here = await scene(context)
  const first = await here.work('first')
  const second = await here.work('second')
  for (let i = 0; i < 40; i++) await here.append(10)
  await second.drain(AbortSignal.timeout(10_000))
  await until(() => first.reasons().some((reason) => reason.includes('claimed by second')), 'fence')
  await checkRows(here)
  assert.deepEqual(second.reasons(), [])
})

test('PostgreSQL killed in the middle loses nothing and doubles nothing', async (context) => {
  const here = await scene(context)
  const workers = await here.work()
  for (let round = 0; round < 3; round++) {
    for (let i = 0; i < 100; i++) await here.append(50)
    await server.killPostmaster()
    for (let i = 0; i < 20; i++) await here.append(50)
    await until(() => workers.reasons().length > 0, 'a reason for not being ready')
    await server.start()
    await until(() => workers.reasons().length === 0, 'readiness after the database is back')
  }
  await workers.drain(AbortSignal.timeout(20_000))
  await checkRows(here)
})

test('sessions cut again and again do not double a row', async (context) => {
  const here = await scene(context)
  const workers = await here.work()
  let cutting = true
  const cuts = (async () => {
    let count = 0
    while (cutting) {
      const [pids] = await column(
        here.url,
        `SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
         WHERE application_name LIKE 'ledger worker%' AND datname = current_database()`,
      )
      count += Number(pids)
      await delay(20)
    }
    return count
  })()
  for (let i = 0; i < 400; i++) await here.append(50)
  cutting = false
  assert.ok((await cuts) > 0)
  await workers.drain(AbortSignal.timeout(20_000))
  await checkRows(here)
})

test('what PostgreSQL has forgotten is applied again, though no record comes', async (context) => {
  const here = await scene(context)
  for (let i = 0; i < 10; i++) await here.append(5)
  const workers = await here.work()
  await workers.drain(AbortSignal.timeout(10_000))
  await checkRows(here)
  // As after a crash that lost commits which were not on disk yet.
  await withConnection(here.url, async (connection) => {
    await connection.script(`
      BEGIN; DELETE FROM ledger.transactions;
      UPDATE ledger.checkpoints SET next_offset = 0, last_created_at = NULL; COMMIT;
      SELECT pg_terminate_backend(pid) FROM pg_stat_activity
      WHERE application_name LIKE 'ledger worker%' AND datname = current_database()`)
  })
  const count = 'SELECT count(*) FROM ledger.transactions'
  await until(async () => (await column(here.url, count))[0] === '50', 'all rows again')
  await checkRows(here)
})

test('records gone before they were applied halt their partition and no other', async (context) => {
  const here = await scene(context)
  await here.append(5)
  await here.log.append(9, encodeBatch([]))
  await here.log.append(9, encodeBatch([]))
  await here.log.release(new Map([[9, 2]]))
  const workers = await here.work()
  await until(() => workers.reasons().length > 0, 'a halted partition')
  assert.match(workers.reasons().join(), /partition 9 is halted: .*0.*2/)
  await until(async () => {
    const { values } = await metrics.haltedPartitions.get()
    return values[0]?.value === 1
  }, 'the metric of halted partitions')
  await workers.drain(AbortSignal.timeout(10_000))
  await checkRows(here)
})

test('checkpoints of another log halt everything rather than apply it', async (context) => {
  const here = await scene(context)
  await withConnection(here.url, (connection) => {
    return connection.execute(
      `INSERT INTO ledger.checkpoints (partition, next_offset, epoch, owner, log_identity)
       SELECT p, 0, 1, 'somebody', 'another log' FROM generate_series(0, 127) p`,
    )
  })
  await here.append(5)
  const workers = await here.work()
  assert.match(workers.reasons().join(), /another log/)
  assert.deepEqual(await column(here.url, 'SELECT id FROM ledger.transactions'), [])
})
