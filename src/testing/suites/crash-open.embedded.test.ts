// Crashes while leaves are open: what PostgreSQL does not see to there must be right all the same.
// In:  nothing.
// Out: tests.
// Absent: crashes under other loads (crash.ts).

import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import type { CrashPoint } from '../crash.ts'
import { plainShape } from '../generate.ts'
import { Setting } from './setting.ts'
import { column } from '../ledger.ts'

/** Requests that a crash leaves without an answer are sent again: those are the repetitions. */
const shape = { ...plainShape, batchItems: [1, 20, 200, 1000] }
/** Every bucket with a row opens leaves. */
const always = ['--open-leaf-rate', '0', '--buckets', '4']
/** A bucket where something repeats, as after a crash, opens no leaf for a minute. */
const openingMs = 120_000
const points: readonly CrashPoint[] = [
  'after-leaf-opened',
  'before-leaf-sealed',
  'after-copy',
  'after-commit',
]

/** Rows by whether their leaf was opened without a key, and leaves that have none now. */
async function openings(setting: Setting): Promise<{ rows: number; unsealed: number }> {
  const [url] = setting.databases
  const [rows] = await column(
    url,
    `SELECT count(*)::int FROM ledger.transactions t JOIN pg_class c ON c.oid = t.tableoid
     WHERE relname ~ '_\\d{8}_\\d{6}$'`,
  )
  const [unsealed] = await column(
    url,
    `SELECT count(*)::int FROM pg_partition_tree('ledger.transactions') t
     WHERE isleaf AND level > 0 AND NOT EXISTS (
       SELECT FROM pg_index i WHERE i.indrelid = t.relid AND i.indisunique AND i.indisvalid)`,
  )
  return { rows: Number(rows), unsealed: Number(unsealed) }
}

describe('while leaves are open', () => {
  let setting: Setting
  before(async () => {
    setting = await Setting.open({ log: 'embedded', databases: 1, shape, clients: 4 })
    await setting.startReady(...always).then((program) => program.stop())
  })
  after(() => setting.close())

  for (const point of points) {
    test(`nothing is lost or doubled by SIGKILL ${point}`, async () => {
      const load = setting.startLoad()
      const nth = point.startsWith('after-co') ? 120 : 1
      const doomed = setting.start(...always, '--crash-at', `${point}:${nth}`)
      assert.equal((await doomed.awaitEnd(openingMs)).signal, 'SIGKILL', doomed.story())
      await setting.assertNothingWrong()
      const program = setting.start(...always)
      await load.stop()
      await setting.assertAllKept()
      await setting.assertStops(program)
    })
  }

  test('nothing is lost or doubled when PostgreSQL is killed and forgets its newest commits', async () => {
    const program = await setting.startReady(...always)
    const load = setting.startLoad()
    for (let i = 0; i < 2; i++) {
      await delay(setting.random.between(2500, 4000))
      await setting.postgres.killPostmaster()
      await setting.postgres.start()
      await setting.assertNothingWrong()
    }
    await load.stop()
    await setting.assertAllKept()
    await setting.assertStops(program)
  })

  test('many rows came through open leaves, and the last of those is sealed', async () => {
    const { rows, unsealed } = await openings(setting)
    assert(rows > 10_000, `${rows} rows in leaves that were open`)
    assert.equal(unsealed, 0)
  })
})
