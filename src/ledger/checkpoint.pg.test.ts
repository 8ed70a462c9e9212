import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect as connectTo, createServer, type AddressInfo, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { after, before, beforeEach, afterEach, test } from 'node:test'
import type { Connection } from '../postgres/connection.ts'
import { claimAll, column, createTestLedger, flushOf, ledgerRows } from '../testing/ledger.ts'
import { openConnection, rowText, testLog } from '../testing/ledger.ts'
import { startTestPostgres, type TestPostgres } from '../testing/postgres.ts'
import { idAt, partitionOfAccount, type Entry } from '../testing/rows.ts'
import { claim, durableCheckpoints, readCheckpoints } from './checkpoint.ts'
import { commitFlush } from './commit.ts'

let server: TestPostgres
let url: string
let first: Connection
let second: Connection

before(async () => {
  // The writer of the write-ahead log stands still, so that only what is asked for leaves memory.
  server = await startTestPostgres({
    settings: { wal_writer_delay: '10s', wal_writer_flush_after: '64MB' },
  })
})

after(() => server.stop())

beforeEach(async () => {
  url = await createTestLedger(server)
  first = await openConnection(url)
  second = await openConnection(url)
})

afterEach(async () => {
  await first.close()
  await second.close()
})

function entry(): Entry {
  const now = Date.now()
  return { accountId: crypto.randomUUID(), id: idAt(now), amount: 1n, createdAt: now }
}

/** Resolves once a session waits for a lock of another. */
async function untilBlocked(): Promise<void> {
  const waiting = `SELECT count(*)::int FROM pg_stat_activity
    WHERE datname = current_database() AND wait_event_type = 'Lock'`
  while ((await column(url, waiting))[0] === 0) await sleep(10)
}

test('the first claim creates checkpoints at the offsets asked for, or at 0', async () => {
  const initialOffsets = new Map([[7, 1000]])
  const wanted = { partitions: [9, 7], owner: 'a', logIdentity: testLog, initialOffsets }
  const checkpoint = { epoch: 1, owner: 'a', logIdentity: testLog }
  assert.deepEqual(await claim(first, wanted), [
    { partition: 7, nextOffset: 1000, ...checkpoint },
    { partition: 9, nextOffset: 0, ...checkpoint },
  ])
})

test('a later claim keeps the offset and raises the epoch', async () => {
  const one = entry()
  const partition = partitionOfAccount(one.accountId)
  await commitFlush(first, flushOf([one], await claimAll(first, [partition], 'a')))
  const initialOffsets = new Map([[partition, 55]])
  const wanted = { partitions: [partition], owner: 'b', logIdentity: testLog, initialOffsets }
  assert.deepEqual(await claim(second, wanted), [
    { partition, nextOffset: 1, epoch: 2, owner: 'b', logIdentity: testLog },
  ])
})

test('a claim for another log is refused, names both, and changes nothing', async () => {
  await claimAll(first, [1, 2])
  const wanted = { partitions: [1, 2, 3], owner: 'b', logIdentity: 'recreated' }
  await assert.rejects(claim(second, wanted), {
    code: 'LOG_IDENTITY_CHANGED',
    message: /Partition 1: .*"test log".*"recreated"/,
  })
  const found = await readCheckpoints(second, [1, 2, 3])
  assert.deepEqual(
    found.map(({ partition, epoch, owner }) => [partition, epoch, owner]),
    [
      [1, 1, 'test'],
      [2, 1, 'test'],
    ],
  )
})

test('a process that has lost a partition writes nothing more, and learns who has it', async () => {
  const one = entry()
  const partition = partitionOfAccount(one.accountId)
  const zombie = flushOf([one], await claimAll(first, [partition], 'zombie'))
  const [checkpoint] = await claimAll(second, [partition], 'heir')
  assert.deepEqual(await commitFlush(first, zombie), { kind: 'stale', checkpoints: [checkpoint] })
  assert.equal(checkpoint.owner, 'heir')
  assert.deepEqual(await ledgerRows(url), [])
})

test('a zombie whose flush waited for its heir finds the door closed', async () => {
  const one = entry()
  const partition = partitionOfAccount(one.accountId)
  const zombie = flushOf([one], await claimAll(first, [partition], 'zombie'))
  // The heir's claim is under way: the zombie still sees its own epoch, and waits for the row.
  await second.script(
    `BEGIN; UPDATE ledger.checkpoints SET epoch = epoch + 1 WHERE partition = ${partition}`,
  )
  const attempt = commitFlush(first, zombie)
  await untilBlocked()
  await second.execute('COMMIT')
  assert.equal((await attempt).kind, 'stale')
  assert.deepEqual(await ledgerRows(url), [])
})

test('of two owners that flush the same offset at once one commits and one is stale', async () => {
  const one = entry()
  const partition = partitionOfAccount(one.accountId)
  const flush = flushOf([one], await claimAll(first, [partition]))
  const outcomes = await Promise.all([commitFlush(first, flush), commitFlush(second, flush)])
  assert.deepEqual(outcomes.map(({ kind }) => kind).sort(), ['committed', 'stale'])
  assert.deepEqual(await ledgerRows(url), [rowText(one)])
})

test('claims of overlapping partitions from many processes all succeed', async () => {
  const all = [...Array(128).keys()]
  const connections = await Promise.all([1, 2, 3, 4].map(() => openConnection(url)))
  await Promise.all(
    connections.map((connection, index) =>
      claimAll(connection, index % 2 ? all : all.toReversed(), `owner ${index}`),
    ),
  )
  const epochs = (await readCheckpoints(first, all)).map(({ epoch }) => epoch)
  assert.deepEqual(new Set(epochs), new Set([4]))
  for (const connection of connections) await connection.close()
})

test('a process stopped in the middle of its flush does not keep its heir waiting', async () => {
  const [checkpoint] = await claimAll(first, [5], 'stopped')
  assert(checkpoint)
  await first.script('BEGIN; UPDATE ledger.checkpoints SET next_offset = 9 WHERE partition = 5')
  const started = Date.now()
  const claimed = await claimAll(second, [5], 'heir')
  assert(Date.now() - started < 10_000)
  assert.deepEqual(claimed, [{ ...checkpoint, epoch: 2, owner: 'heir' }])
  await assert.rejects(first.execute('COMMIT'), { code: 'DATABASE_UNAVAILABLE' })
})

test('what durableCheckpoints returned is never lost, even when PostgreSQL is killed', async () => {
  const entries = [entry(), entry(), entry()]
  const partitions = [...new Set(entries.map(({ accountId }) => partitionOfAccount(accountId)))]
  const checkpoints = await claimAll(first, partitions)
  await commitFlush(first, flushOf(entries, checkpoints))
  const durable = await durableCheckpoints(second)
  assert.deepEqual(
    durable.map(({ nextOffset }) => nextOffset),
    partitions.map(() => 1),
  )
  await server.killPostmaster()
  await server.start()
  const connection = await openConnection(url)
  assert.deepEqual(await readCheckpoints(connection, partitions), durable)
  await connection.close()
  assert.deepEqual(await ledgerRows(url), entries.map(rowText).sort())
})

test('a session ended before COMMIT leaves nothing, and the checkpoint says so', async () => {
  const one = entry()
  const partition = partitionOfAccount(one.accountId)
  const checkpoints = await claimAll(first, [partition])
  // The flush waits for this lock, in the middle of its transaction, and is ended there.
  await second.script('BEGIN; LOCK TABLE ledger.transactions IN ACCESS EXCLUSIVE MODE')
  const attempt = commitFlush(first, flushOf([one], checkpoints))
  const rejected = assert.rejects(attempt, { code: 'DATABASE_UNAVAILABLE' })
  await untilBlocked()
  await column(
    url,
    `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
     WHERE datname = current_database() AND wait_event_type = 'Lock'`,
  )
  await rejected
  await second.execute('ROLLBACK')
  assert.deepEqual(await readCheckpoints(second, [partition]), checkpoints)
  assert.deepEqual(await ledgerRows(url), [])
})

test('a COMMIT whose answer is lost is found by reading the checkpoint', async () => {
  const one = entry()
  const partition = partitionOfAccount(one.accountId)
  const checkpoints = await claimAll(first, [partition])
  const proxy = await openDeafProxy(new URL(url))
  const connection = await openConnection(proxy.url)
  await assert.rejects(commitFlush(connection, flushOf([one], checkpoints)), {
    code: 'DATABASE_UNAVAILABLE',
  })
  await proxy.close()
  const [now] = await readCheckpoints(second, [partition])
  assert.equal(now.nextOffset, 1)
  assert.deepEqual(await ledgerRows(url), [rowText(one)])
})

/** Stands between, and cuts the connection when the server answers COMMIT. */
async function openDeafProxy(target: URL): Promise<{ url: string; close(): Promise<void> }> {
  const sockets = new Set<Socket>()
  const proxy = createServer((client) => {
    const upstream = connectTo(Number(target.port), target.hostname)
    sockets.add(client).add(upstream)
    client.on('error', () => {}).pipe(upstream)
    upstream
      .on('error', () => {})
      .on('data', (bytes: Buffer) => {
        if (bytes.includes('COMMIT\0')) client.destroy()
        else client.write(bytes)
      })
  })
  proxy.listen(0, '127.0.0.1')
  await once(proxy, 'listening')
  const through = new URL(target)
  through.port = String((proxy.address() as AddressInfo).port)
  return {
    url: through.href,
    async close() {
      for (const socket of sockets) socket.destroy()
      proxy.close()
      await once(proxy, 'close')
    },
  }
}
