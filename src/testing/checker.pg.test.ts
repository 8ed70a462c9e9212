import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { check, checkEventually, assertClean } from './checker.ts'
import { account, numbered, openStage, start, type Stage } from './checker-scene.ts'
import { uuidText } from './uuid-text.ts'

let stage: Stage

before(async () => {
  stage = await openStage()
})

after(() => stage.close())

test('a history whose every promise is kept passes', async () => {
  const scene = await stage.openScene()
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
  const scene = await stage.openScene()
  scene.send([[1, 10n], [2, 20n]], 'acknowledged') // prettier-ignore
  await scene.row(1, 10n)
  const report = await scene.finds({ lost: 1 })
  const story = report.violations[0]?.story ?? ''
  for (const part of [uuidText(account), uuidText(numbered(2)), 'client 7', '2026-01-01T00:00']) {
    assert(story.includes(part), `${part} in ${story}`)
  }
})

test('a transaction acknowledged only at the second attempt is lost as well', async () => {
  const scene = await stage.openScene()
  const batch = scene.send([[1, 10n]], 'unanswered')
  scene.resend(batch, 'acknowledged', 2)
  await scene.finds({ lost: 1 })
})

test('two rows of one key are a double', async () => {
  const scene = await stage.openScene()
  scene.send([[1, 10n]], 'acknowledged')
  await scene.row(1, 10n)
  await scene.row(1, 10n)
  await scene.finds({ double: 1 })
})

test('two rows of one key with two amounts are a double', async () => {
  const scene = await stage.openScene()
  scene.send([[1, 10n]], 'unanswered')
  scene.send([[1, 11n]], 'unanswered')
  await scene.row(1, 10n)
  await scene.row(1, 11n)
  await scene.finds({ double: 1 })
})

test('an unanswered transaction taken twice is a double', async () => {
  const scene = await stage.openScene()
  const batch = scene.send([[1, 10n]], 'unanswered')
  scene.resend(batch, 'unanswered', 1)
  await scene.row(1, 10n)
  await scene.row(1, 10n, { second: 1.5 })
  await scene.finds({ double: 1 })
})

test('one row in each of two databases is a double', async () => {
  const scene = await stage.openScene()
  scene.send([[1, 10n]], 'acknowledged')
  await scene.row(1, 10n)
  await scene.finds({ double: 1 }, { databases: [stage.url, stage.url] })
  await scene.finds({}, { databases: [stage.url, await stage.createEmpty('other')] })
})

test('the same id on two accounts is two entries', async () => {
  const scene = await stage.openScene()
  const batch = scene.history.begin()
  const other = numbered(99)
  scene.history.add(numbered(1), account, 10n)
  scene.history.add(numbered(1), other, -10n)
  scene.resend(batch, 'acknowledged', 0)
  await scene.row(1, 10n)
  await scene.finds({ lost: 1 })
  await scene.database.query(
    `INSERT INTO ledger.transactions VALUES ($1, $2, -10, to_timestamp($3))`,
    [uuidText(other), uuidText(numbered(1)), start / 1000],
  )
  await scene.finds({})
})

test('a row nobody sent is invented', async () => {
  const scene = await stage.openScene()
  await scene.row(1, 10n)
  await scene.finds({ invented: 1 })
})

test('a row of a refused request is invented', async () => {
  const scene = await stage.openScene()
  scene.send([[1, 10n]], 'refused')
  await scene.row(1, 10n)
  await scene.finds({ invented: 1 })
})

test('an amount nobody sent is wrong, and what was sent is lost', async () => {
  const scene = await stage.openScene()
  scene.send([[1, 2n ** 53n + 1n]], 'acknowledged')
  await scene.row(1, 2n ** 53n)
  await scene.finds({ 'wrong amount': 1, lost: 1 })
})

test('of two acknowledged amounts the later must be a conflict', async () => {
  const scene = await stage.openScene()
  scene.send([[1, 10n]], 'acknowledged')
  scene.send([[1, 11n]], 'acknowledged', 5)
  await scene.row(1, 10n)
  await scene.finds({ 'conflict missing': 1 })
  await scene.conflict(1, 11n)
  await scene.finds({})
})

test('the amount acknowledged before the other was sent must be the row', async () => {
  const scene = await stage.openScene()
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
    const scene = await stage.openScene()
    scene.send([[1, 10n]], 'acknowledged')
    scene.send([[1, 11n]], 'acknowledged', 0.5)
    await scene.row(1, row)
    await scene.conflict(1, conflict)
    await scene.finds({})
  }
})

test('an amount left unanswered long before may be the row', async () => {
  const scene = await stage.openScene()
  scene.send([[1, 10n]], 'unanswered')
  scene.send([[1, 11n]], 'acknowledged', 5)
  await scene.row(1, 10n)
  await scene.finds({ 'conflict missing': 1 })
  await scene.conflict(1, 11n)
  await scene.finds({})
})

test('a conflict with the amount of the row is superfluous', async () => {
  const scene = await stage.openScene()
  scene.send([[1, 10n]], 'acknowledged')
  await scene.row(1, 10n)
  await scene.conflict(1, 10n)
  await scene.finds({ 'conflict superfluous': 1 })
})

test('a conflict without a row is superfluous', async () => {
  const scene = await stage.openScene()
  scene.send([[1, 10n]], 'unanswered')
  await scene.conflict(1, 10n)
  await scene.finds({ 'conflict superfluous': 1 })
})

test('a conflict recorded twice is a double', async () => {
  const scene = await stage.openScene()
  scene.send([[1, 10n]], 'acknowledged')
  scene.send([[1, 11n]], 'unanswered', 5)
  await scene.row(1, 10n)
  await scene.conflict(1, 11n)
  await scene.conflict(1, 11n)
  await scene.finds({ 'conflict double': 1 })
})

test('a conflict with an amount nobody sent, or of a refused request, is invented', async () => {
  const scene = await stage.openScene()
  scene.send([[1, 10n]], 'acknowledged')
  scene.send([[1, 11n]], 'refused', 5)
  await scene.row(1, 10n)
  await scene.conflict(1, 11n)
  await scene.conflict(1, 12n)
  await scene.conflict(2, 10n)
  await scene.finds({ 'conflict invented': 3 })
})

test('a conflict that names another amount than its row has contradicts it', async () => {
  const scene = await stage.openScene()
  scene.send([[1, 10n]], 'acknowledged')
  scene.send([[1, 11n]], 'acknowledged', 5)
  await scene.row(1, 10n)
  await scene.conflict(1, 11n)
  await scene.database.query('UPDATE ledger.conflicts SET recorded_amount = 9')
  await scene.finds({ 'conflict contradicts': 1 })
})

test('a row dated when no request with it was under way is of a wrong time', async () => {
  const scene = await stage.openScene()
  const batch = scene.send([[1, 10n]], 'acknowledged')
  scene.resend(batch, 'acknowledged', 10)
  await scene.row(1, 10n, { second: 5 })
  await scene.finds({ 'wrong time': 1 })
})

test('what time may cure is left out while the workers are under way, and nothing else is', async () => {
  const scene = await stage.openScene()
  scene.send([[1, 10n]], 'acknowledged')
  await scene.finds({ lost: 1 })
  await scene.finds({}, { underway: true })
  await scene.row(2, 10n)
  await scene.finds({ invented: 1 }, { underway: true })
})

test('a checkpoint short of the end of the log, beyond it, or absent is found', async () => {
  const scene = await stage.openScene()
  await scene.database.query(
    `INSERT INTO ledger.checkpoints VALUES (3, 100, 7, 'me'), (4, 5, 1, 'me')`,
  )
  const report = await scene.finds(
    { 'checkpoint behind': 2, 'checkpoint beyond': 1 },
    { logEnds: new Map([[0, 0], [3, 101], [4, 4], [5, 1]]) }, // prettier-ignore
  )
  assert.match(report.violations[0]?.story ?? '', /partition 3: expected offset 101.*found 100.*me/)
  await scene.finds({}, { logEnds: new Map([[3, 100], [4, 5]]) }) // prettier-ignore
})

test('a record in quarantine is found', async () => {
  const scene = await stage.openScene()
  await scene.database.query(`INSERT INTO ledger.quarantine VALUES (3, 100, 'not a batch')`)
  const report = await scene.finds({ quarantined: 1 })
  assert.match(report.violations[0]?.story ?? '', /partition 3 offset 100: not a batch/)
})

test('a bad record that was put into the log belongs in quarantine, once', async () => {
  const scene = await stage.openScene()
  const badRecords = new Map([['3/100', 'garbage']])
  await scene.finds({ 'quarantine missing': 1 }, { badRecords })
  await scene.database.query(`INSERT INTO ledger.quarantine VALUES (3, 100, 'not a batch')`)
  await scene.finds({}, { badRecords })
  await scene.database.query(`INSERT INTO ledger.quarantine VALUES (3, 100, 'not a batch')`)
  await scene.finds({ quarantined: 1 }, { badRecords })
})

test('the checker waits for rows that are still to come, and no longer than they move', async () => {
  const scene = await stage.openScene()
  scene.send([[1, 10n]], 'acknowledged')
  const options = { databases: [stage.url], history: scene.history, patienceMs: 500 }
  const waiting = checkEventually({ ...options, patienceMs: 20_000 })
  await scene.row(1, 10n)
  assertClean(await waiting)
  await scene.database.query('DELETE FROM ledger.transactions')
  assert.deepEqual((await checkEventually(options)).counts, { lost: 1 })
})

test('of many breaches all are counted and a few are told', async () => {
  const scene = await stage.openScene()
  scene.send(
    Array.from({ length: 3000 }, (_, i) => [i, 1n]),
    'acknowledged',
  )
  await scene.database.query(
    `INSERT INTO ledger.transactions
       SELECT $1, lpad(to_hex(i), 32, '0')::uuid, 1, to_timestamp($2)
         FROM generate_series(1000, 2999) i`,
    [uuidText(account), start / 1000],
  )
  const options = { databases: [stage.url], history: scene.history, storiesMax: 5 }
  const report = await check(options)
  assert.deepEqual(report.counts, { lost: 1000 })
  assert.equal(report.violations.length, 5)
  assert.equal(report.rows, 2000)
})
