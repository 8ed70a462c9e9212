// Crashes while accounts are rolled up: balances must be exact all the same.
// In:  nothing.
// Out: tests.
// Absent: crashes of anything else (crash.ts).

import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { checkRollups } from '../../ledger/rollup-check.ts'
import type { CrashPoint } from '../crash.ts'
import { confusedShape } from '../generate.ts'
import { column, withConnection } from '../ledger.ts'
import { Setting } from './setting.ts'

/** One bucket is large enough to be rolled up within seconds. */
const oneBucket = ['--buckets', '1']
const points: readonly CrashPoint[] = ['after-rollup-armed', 'before-rollup-commit']

describe('while accounts are rolled up', () => {
  let setting: Setting
  before(async () => {
    const shape = { ...confusedShape, batchItems: [200, 1000] }
    setting = await Setting.open({ log: 'embedded', databases: 1, shape, clients: 4 })
    await setting.startReady(...oneBucket).then((program) => program.stop())
  })
  after(() => setting.close())

  async function assertRolledUp(): Promise<void> {
    const [url] = setting.databases
    assert.deepEqual(await withConnection(url, checkRollups), [])
  }

  for (const point of points) {
    test(`balances are exact after SIGKILL ${point}`, async () => {
      const load = setting.startLoad()
      const program = setting.start(...oneBucket, '--crash-at', `${point}:1`)
      assert.equal((await program.awaitEnd(60_000)).signal, 'SIGKILL', program.story())
      await assertRolledUp()
      const heir = setting.start(...oneBucket)
      await load.stop()
      await setting.assertAllKept()
      await assertRolledUp()
      await setting.assertStops(heir)
    })
  }

  test('they are rolled up after that', async () => {
    const [url] = setting.databases
    const sql = 'SELECT coalesce(sum(count), 0)::int FROM ledger.rollups'
    const load = setting.startLoad()
    const program = await setting.startReady(...oneBucket)
    const end = performance.now() + 60_000
    while (Number((await column(url, sql))[0]) < 10_000) {
      assert(performance.now() < end, program.story())
      await delay(100)
    }
    await load.stop()
    await setting.assertAllKept()
    await assertRolledUp()
    await setting.assertStops(program)
  })
})
