// Tables without keys, so that what the real ones forbid can be planted as well.

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { Client } from 'pg'
import { migrate } from '../ledger/migrate.ts'
import { connect } from '../postgres/connection.ts'
import { auditLog, type SeenRecord } from './audit.ts'
import {
  assertClean,
  check,
  checkEventually,
  type CheckOptions,
  type ViolationKind,
} from './checker.ts'
import { beginAttempt, endAttempt, History, type Answer, type SentBatch } from './history.ts'
import { startTestPostgres, type TestPostgres } from './postgres.ts'
import { uuidFromText, uuidText } from './uuid-text.ts'

const tables = `
  DROP SCHEMA IF EXISTS ledger CASCADE;
  CREATE SCHEMA ledger;
  CREATE TABLE ledger.transactions (
    account_id uuid, id uuid, amount bigint, created_at timestamptz
  );
  CREATE TABLE ledger.conflicts (LIKE ledger.transactions, recorded_amount bigint);
  CREATE TABLE ledger.quarantine (partition int, log_offset bigint, reason text);
  CREATE TABLE ledger.checkpoints (partition int, next_offset bigint, epoch bigint, owner text);
`
let server: TestPostgres
let database: Client
let otherUrl: string

before(async () => {
  server = await startTestPostgres()
  database = new Client(server.url)
  await database.connect()
  otherUrl = await server.createDatabase('other')
  const other = new Client(otherUrl)
  await other.connect()
  await other.query(tables)
  await other.end()
})

after(async () => {
  await database.end()
  await server.stop()
})

const account = uuidFromText('aaaaaaaa-0000-4000-8000-000000000000')
const start = Date.UTC(2026, 0, 1)

/** A history written by hand, and the tables that belong to it. */
class Scene {
  readonly history = new History()

  static async open(): Promise<Scene> {
    await database.query(tables)
    return new Scene()
  }

  /** Items are [number of the id, amount]; the answer comes a second after the request. */
  send(items: [id: number, amount: bigint][], answer: Answer, atSecond = 0): SentBatch {
    const batch = this.history.begin()
    for (const [id, amount] of items) this.history.add(numbered(id), account, amount)
    this.resend(batch, answer, atSecond)
    return batch
  }

  resend(batch: SentBatch, answer: Answer, atSecond: number): void {
    const attempt = beginAttempt(batch, 'client 7', start + atSecond * 1000)
    if (answer === 'pending') return
    endAttempt(attempt, answer, 'as told', start + atSecond * 1000 + 1000)
  }

  async row(id: number, amount: bigint, { table = 'transactions', second = 0.5 } = {}) {
    const values = [uuidText(account), uuidText(numbered(id)), amount, start / 1000 + second]
    await database.query(
      `INSERT INTO ledger.${table} VALUES ($1, $2, $3, to_timestamp($4))`,
      values,
    )
  }

  async conflict(id: number, amount: bigint) {
    await this.row(id, amount, { table: 'conflicts' })
  }

  /** Expects exactly these breaches, each told with the client that is concerned. */
  async finds(expected: Partial<Record<ViolationKind, number>>, more: Partial<CheckOptions> = {}) {
    const report = await check({ databases: [server.url], history: this.history, ...more })
    assert.deepEqual(report.counts, expected)
    const total = Object.values(report.counts).reduce((sum, count) => sum + count, 0)
    assert.equal(report.violations.length, total)
    if (total > 0) assert.throws(() => assertClean(report))
    else assertClean(report)
    return report
  }
}

function numbered(id: number): Uint8Array {
  const bytes = new Uint8Array(16)
  new DataView(bytes.buffer).setUint32(12, id)
  return bytes
}

test('a history whose every promise is kept passes', async () => {
  const scene = await Scene.open()
  scene.send([[1, 10n], [2, -(2n ** 63n)]], 'acknowledged') // prettier-ignore
  scene.send([[3, 30n]], 'unanswered')
  scene.send([[4, 40n]], 'unanswered')
  scene.send([[5, 50n]], 'pending')
  scene.send([[6, 60n]], 'refused')
  scene.send([[1, 11n]], 'acknowledged', 5)
  scene.send([[2, 2n]], 'unanswered', 5)
  await scene.row(1, 10n)
  await scene.row(2, -(2n ** 63n))
  await scene.row(3, 30n)
  await scene.conflict(1, 11n)
  const report = await scene.finds({})
  assert.deepEqual([report.rows, report.conflicts], [3, 1])
})

test('an acknowledged transaction without a row is lost, and its story says who sent it', async () => {
  const scene = await Scene.open()
  scene.send([[1, 10n], [2, 20n]], 'acknowledged') // prettier-ignore
  await scene.row(1, 10n)
  const report = await scene.finds({ lost: 1 })
  const story = report.violations[0]?.story ?? ''
  for (const part of [uuidText(account), uuidText(numbered(2)), 'client 7', '2026-01-01T00:00']) {
    assert(story.includes(part), `${part} in ${story}`)
  }
})

test('a transaction acknowledged only at the second attempt is lost as well', async () => {
  const scene = await Scene.open()
  const batch = scene.send([[1, 10n]], 'unanswered')
  scene.resend(batch, 'acknowledged', 2)
  await scene.finds({ lost: 1 })
})

test('two rows of one key are a double', async () => {
  const scene = await Scene.open()
  scene.send([[1, 10n]], 'acknowledged')
  await scene.row(1, 10n)
  await scene.row(1, 10n)
  await scene.finds({ double: 1 })
})

test('two rows of one key with two amounts are a double', async () => {
  const scene = await Scene.open()
  scene.send([[1, 10n]], 'unanswered')
  scene.send([[1, 11n]], 'unanswered')
  await scene.row(1, 10n)
  await scene.row(1, 11n)
  await scene.finds({ double: 1 })
})

test('an unanswered transaction taken twice is a double', async () => {
  const scene = await Scene.open()
  const batch = scene.send([[1, 10n]], 'unanswered')
  scene.resend(batch, 'unanswered', 1)
  await scene.row(1, 10n)
  await scene.row(1, 10n, { second: 1.5 })
  await scene.finds({ double: 1 })
})

test('one row in each of two databases is a double', async () => {
  const scene = await Scene.open()
  scene.send([[1, 10n]], 'acknowledged')
  await scene.row(1, 10n)
  await scene.finds({ double: 1 }, { databases: [server.url, server.url] })
  await scene.finds({}, { databases: [server.url, otherUrl] })
})

test('the same id on two accounts is two entries', async () => {
  const scene = await Scene.open()
  const batch = scene.history.begin()
  const other = numbered(99)
  scene.history.add(numbered(1), account, 10n)
  scene.history.add(numbered(1), other, -10n)
  scene.resend(batch, 'acknowledged', 0)
  await scene.row(1, 10n)
  await scene.finds({ lost: 1 })
  await database.query(`INSERT INTO ledger.transactions VALUES ($1, $2, -10, to_timestamp($3))`, [
    uuidText(other),
    uuidText(numbered(1)),
    start / 1000,
  ])
  await scene.finds({})
})

test('a row nobody sent is invented', async () => {
  const scene = await Scene.open()
  await scene.row(1, 10n)
  await scene.finds({ invented: 1 })
})

test('a row of a refused request is invented', async () => {
  const scene = await Scene.open()
  scene.send([[1, 10n]], 'refused')
  await scene.row(1, 10n)
  await scene.finds({ invented: 1 })
})

test('an amount nobody sent is wrong, and what was sent is lost', async () => {
  const scene = await Scene.open()
  scene.send([[1, 2n ** 53n + 1n]], 'acknowledged')
  await scene.row(1, 2n ** 53n)
  await scene.finds({ 'wrong amount': 1, lost: 1 })
})

test('of two acknowledged amounts the later must be a conflict', async () => {
  const scene = await Scene.open()
  scene.send([[1, 10n]], 'acknowledged')
  scene.send([[1, 11n]], 'acknowledged', 5)
  await scene.row(1, 10n)
  await scene.finds({ 'conflict missing': 1 })
  await scene.conflict(1, 11n)
  await scene.finds({})
})

test('the amount acknowledged before the other was sent must be the row', async () => {
  const scene = await Scene.open()
  scene.send([[1, 10n]], 'acknowledged')
  scene.send([[1, 11n]], 'acknowledged', 5)
  await scene.row(1, 11n, { second: 5.5 })
  await scene.conflict(1, 10n)
  await scene.finds({ 'wrong winner': 1 })
})

test('of two amounts under way at the same time either may be the row', async () => {
  for (const [row, conflict] of [
    [10n, 11n],
    [11n, 10n],
  ] as const) {
    // prettier-ignore
    const scene = await Scene.open()
    scene.send([[1, 10n]], 'acknowledged')
    scene.send([[1, 11n]], 'acknowledged', 0.5)
    await scene.row(1, row)
    await scene.conflict(1, conflict)
    await scene.finds({})
  }
})

test('an amount left unanswered long before may be the row', async () => {
  const scene = await Scene.open()
  scene.send([[1, 10n]], 'unanswered')
  scene.send([[1, 11n]], 'acknowledged', 5)
  await scene.row(1, 10n)
  await scene.finds({ 'conflict missing': 1 })
  await scene.conflict(1, 11n)
  await scene.finds({})
})

test('a conflict with the amount of the row is superfluous', async () => {
  const scene = await Scene.open()
  scene.send([[1, 10n]], 'acknowledged')
  await scene.row(1, 10n)
  await scene.conflict(1, 10n)
  await scene.finds({ 'conflict superfluous': 1 })
})

test('a conflict without a row is superfluous', async () => {
  const scene = await Scene.open()
  scene.send([[1, 10n]], 'unanswered')
  await scene.conflict(1, 10n)
  await scene.finds({ 'conflict superfluous': 1 })
})

test('a conflict recorded twice is a double', async () => {
  const scene = await Scene.open()
  scene.send([[1, 10n]], 'acknowledged')
  scene.send([[1, 11n]], 'unanswered', 5)
  await scene.row(1, 10n)
  await scene.conflict(1, 11n)
  await scene.conflict(1, 11n)
  await scene.finds({ 'conflict double': 1 })
})

test('a conflict with an amount nobody sent, or of a refused request, is invented', async () => {
  const scene = await Scene.open()
  scene.send([[1, 10n]], 'acknowledged')
  scene.send([[1, 11n]], 'refused', 5)
  await scene.row(1, 10n)
  await scene.conflict(1, 11n)
  await scene.conflict(1, 12n)
  await scene.conflict(2, 10n)
  await scene.finds({ 'conflict invented': 3 })
})

test('a conflict that names another amount than its row has contradicts it', async () => {
  const scene = await Scene.open()
  scene.send([[1, 10n]], 'acknowledged')
  scene.send([[1, 11n]], 'acknowledged', 5)
  await scene.row(1, 10n)
  await scene.conflict(1, 11n)
  await database.query('UPDATE ledger.conflicts SET recorded_amount = 9')
  await scene.finds({ 'conflict contradicts': 1 })
})

test('a row dated when no request with it was under way is of a wrong time', async () => {
  const scene = await Scene.open()
  const batch = scene.send([[1, 10n]], 'acknowledged')
  scene.resend(batch, 'acknowledged', 10)
  await scene.row(1, 10n, { second: 5 })
  await scene.finds({ 'wrong time': 1 })
})

test('what time may cure is left out while the workers are under way, and nothing else is', async () => {
  const scene = await Scene.open()
  scene.send([[1, 10n]], 'acknowledged')
  await scene.finds({ lost: 1 })
  await scene.finds({}, { underway: true })
  await scene.row(2, 10n)
  await scene.finds({ invented: 1 }, { underway: true })
})

test('a checkpoint short of the end of the log, beyond it, or absent is found', async () => {
  const scene = await Scene.open()
  await database.query(`INSERT INTO ledger.checkpoints VALUES (3, 100, 7, 'me'), (4, 5, 1, 'me')`)
  const report = await scene.finds(
    { 'checkpoint behind': 2, 'checkpoint beyond': 1 },
    { logEnds: new Map([[0, 0], [3, 101], [4, 4], [5, 1]]) }, // prettier-ignore
  )
  assert.match(report.violations[0]?.story ?? '', /partition 3: expected offset 101.*found 100.*me/)
  await scene.finds({}, { logEnds: new Map([[3, 100], [4, 5]]) }) // prettier-ignore
})

test('the real tables are read as they are, and what their keys forbid is found', async () => {
  const url = await server.createDatabase('real')
  const connection = await connect(url, { applicationName: 'test' })
  await migrate(connection, { buckets: 4, databases: 1, databaseIndex: 0 })
  await connection.close()
  const real = new Client(url)
  await real.connect()
  try {
    const scene = new Scene()
    scene.send([[1, 10n]], 'acknowledged')
    scene.send([[1, 11n]], 'acknowledged', 5)
    const key = [uuidText(account), uuidText(numbered(1)), start / 1000]
    const row = 'INSERT INTO ledger.transactions VALUES ($1, $2, 10, to_timestamp($3))'
    await real.query(row, key)
    await real.query(
      `INSERT INTO ledger.conflicts (account_id, id, amount, recorded_amount, created_at)
         VALUES ($1, $2, 11, 10, to_timestamp($3))`,
      key,
    )
    await scene.finds({}, { databases: [url] })
    await real.query('ALTER TABLE ledger.transactions DROP CONSTRAINT transactions_pkey')
    await real.query(row, key)
    await scene.finds({ double: 1 }, { databases: [url] })
  } finally {
    await real.end()
  }
})

test('a record in quarantine is found', async () => {
  const scene = await Scene.open()
  await database.query(`INSERT INTO ledger.quarantine VALUES (3, 100, 'not a batch')`)
  const report = await scene.finds({ quarantined: 1 })
  assert.match(report.violations[0]?.story ?? '', /partition 3 offset 100: not a batch/)
})

test('the checker waits for rows that are still to come, and no longer than they move', async () => {
  const scene = await Scene.open()
  scene.send([[1, 10n]], 'acknowledged')
  const options = { databases: [server.url], history: scene.history, patienceMs: 500 }
  const waiting = checkEventually({ ...options, patienceMs: 20_000 })
  await scene.row(1, 10n)
  assertClean(await waiting)
  await database.query('DELETE FROM ledger.transactions')
  assert.deepEqual((await checkEventually(options)).counts, { lost: 1 })
})

test('the tables are what the records below the checkpoints make of them, and no more', async () => {
  const scene = await Scene.open()
  const record = (offset: number, id: number, amount: bigint): SeenRecord => {
    const bytes = Buffer.alloc(47)
    bytes.set([0x0a, 0x2d, 0x0a, 0x10, ...numbered(id), 0x12, 0x10, ...account, 0x19])
    bytes.writeBigInt64LE(amount, 39)
    return { partition: 3, offset, timestamp: start, bytes }
  }
  const records = [record(0, 1, 10n), record(5, 2, 20n), record(6, 1, 11n), record(7, 3, 30n)]
  const counts = async () => (await auditLog([server.url], records)).counts
  await database.query(`INSERT INTO ledger.checkpoints VALUES (3, 7, 1, 'me')`)
  await scene.row(1, 10n)
  await scene.row(2, 20n)
  assert.deepEqual(await counts(), { 'conflict missing': 1 })
  await scene.conflict(1, 11n)
  assert.deepEqual(await counts(), {})
  await scene.row(3, 30n)
  assert.deepEqual(await counts(), { invented: 1 })
  await database.query('UPDATE ledger.checkpoints SET next_offset = 8')
  assert.deepEqual(await counts(), {})
  await database.query('UPDATE ledger.checkpoints SET next_offset = 5')
  assert.deepEqual(await counts(), { invented: 2, 'conflict invented': 1 })
})

test('of many breaches all are counted and a few are told', async () => {
  const scene = await Scene.open()
  scene.send(
    Array.from({ length: 3000 }, (_, i) => [i, 1n]),
    'acknowledged',
  )
  await database.query(
    `INSERT INTO ledger.transactions
       SELECT $1, lpad(to_hex(i), 32, '0')::uuid, 1, to_timestamp($2)
         FROM generate_series(1000, 2999) i`,
    [uuidText(account), start / 1000],
  )
  const options = { databases: [server.url], history: scene.history, storiesMax: 5 }
  const report = await check(options)
  assert.deepEqual(report.counts, { lost: 1000 })
  assert.equal(report.violations.length, 5)
  assert.equal(report.rows, 2000)
})
