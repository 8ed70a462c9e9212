import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import pg from 'pg'
import { startTestPostgres, type TestPostgres } from '../testing/postgres.ts'
import { ReadPool } from './pool.ts'

let server: TestPostgres
let observer: pg.Client

before(async () => {
  server = await startTestPostgres()
  observer = new pg.Client(server.url)
  observer.on('error', () => undefined)
  await observer.connect()
})

after(async () => {
  await observer.end()
  await server.stop()
})

const applicationName = 'pool test'
const onLost = (): void => undefined

/** How many sessions of ours work on something that contains this text. */
async function working(text: string): Promise<number> {
  const found = await observer.query<{ count: number }>(
    `SELECT count(*)::int AS count FROM pg_stat_activity
     WHERE application_name = $1 AND state = 'active' AND query LIKE '%' || $2 || '%'`,
    [applicationName, text],
  )
  return found.rows[0].count
}

async function until(condition: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 10_000
  while (!(await condition())) {
    assert(performance.now() < deadline, 'in time')
    await delay(10)
  }
}

test('no more reads run than there are connections, and past the line they are refused', async () => {
  const options = { connectionsMax: 2, waitingMax: 1, waitSeconds: 0.3 }
  const pool = new ReadPool(server.url, { applicationName, onLost, ...options })
  const slow = [1, 2].map(() => pool.read('SELECT pg_sleep(1.5), 11'))
  await until(async () => (await working('11')) === 2)
  const waiting = pool.read('SELECT 1')
  const refusedAt = performance.now()
  await assert.rejects(pool.read('SELECT 1'), { code: 'OVERLOADED' })
  assert(performance.now() - refusedAt < 100, 'at once')
  await assert.rejects(waiting, { code: 'OVERLOADED' })
  await Promise.all(slow)
  assert.deepEqual(await pool.read('SELECT 1 AS one'), [{ one: 1 }])
  await pool.close()
})

test('a read that takes PostgreSQL too long is ended there', async () => {
  const pool = new ReadPool(server.url, { applicationName, onLost, statementSeconds: 0.2 })
  await assert.rejects(pool.read('SELECT pg_sleep(30), 22'), { code: 'DATABASE_UNAVAILABLE' })
  await until(async () => (await working('22')) === 0)
  await pool.close()
})

test('a read that nobody waits for any more is ended in PostgreSQL', async () => {
  const pool = new ReadPool(server.url, { applicationName, onLost, connectionsMax: 1 })
  const gone = new AbortController()
  const read = pool.read('SELECT pg_sleep(30), 33', { signal: gone.signal })
  const queued = pool.read('SELECT 44', { signal: gone.signal })
  await until(async () => (await working('33')) === 1)
  const abortedAt = performance.now()
  gone.abort()
  await assert.rejects(queued, { code: 'STOPPING' })
  await assert.rejects(read, { code: 'DATABASE_UNAVAILABLE' })
  assert(performance.now() - abortedAt < 5000)
  assert.equal(await working('33'), 0)
  // The connection that was interrupted is not used again: a late cancel could hit another read.
  assert.deepEqual(await pool.read('SELECT 1 AS one'), [{ one: 1 }])
  await pool.close()
})

test('a read cannot write, whatever it is asked', async () => {
  const pool = new ReadPool(server.url, { applicationName, onLost })
  await assert.rejects(pool.read('CREATE TABLE written (a integer)'))
  await pool.close()
})
