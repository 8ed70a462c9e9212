import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { Client } from 'pg'
import { migrate } from '../ledger/migrate.ts'
import { connect } from '../postgres/connection.ts'
import { auditLog, type SeenRecord } from './audit.ts'
import { account, numbered, openStage, Scene, start, type Stage } from './checker-scene.ts'
import { uuidText } from './uuid-text.ts'

let stage: Stage

before(async () => {
  stage = await openStage()
})

after(() => stage.close())

test('the tables are what the records below the checkpoints make of them, and no more', async () => {
  const scene = await stage.openScene()
  const record = (offset: number, id: number, amount: bigint): SeenRecord => {
    const bytes = Buffer.alloc(47)
    bytes.set([0x0a, 0x2d, 0x0a, 0x10, ...numbered(id), 0x12, 0x10, ...account, 0x19])
    bytes.writeBigInt64LE(amount, 39)
    return { partition: 3, offset, timestamp: start, bytes }
  }
  const records = [record(0, 1, 10n), record(5, 2, 20n), record(6, 1, 11n), record(7, 3, 30n)]
  const counts = async () => (await auditLog([stage.url], records)).counts
  await scene.database.query(`INSERT INTO ledger.checkpoints VALUES (3, 7, 1, 'me')`)
  await scene.row(1, 10n)
  await scene.row(2, 20n)
  assert.deepEqual(await counts(), { 'conflict missing': 1 })
  await scene.conflict(1, 11n)
  assert.deepEqual(await counts(), {})
  await scene.row(3, 30n)
  assert.deepEqual(await counts(), { invented: 1 })
  await scene.database.query('UPDATE ledger.checkpoints SET next_offset = 8')
  assert.deepEqual(await counts(), {})
  await scene.database.query('UPDATE ledger.checkpoints SET next_offset = 5')
  assert.deepEqual(await counts(), { invented: 2, 'conflict invented': 1 })
})

test('the real tables are read as they are, and what their keys forbid is found', async () => {
  const url = await stage.server.createDatabase('real')
  const connection = await connect(url, { applicationName: 'test' })
  await migrate(connection, { buckets: 4, databases: 1, databaseIndex: 0 })
  await connection.close()
  const real = new Client(url)
  await real.connect()
  try {
    const scene = new Scene(real, url)
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
    await scene.finds({})
    for (const bucket of ['00', '01', '02', '03']) {
      await real.query(`DROP INDEX ledger.transactions_b${bucket}_default_key`)
    }
    await real.query(row, key)
    await scene.finds({ double: 1 })
  } finally {
    await real.end()
  }
})
