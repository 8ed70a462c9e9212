// The suite of `verify` beside the running program: it finds nothing where nothing is wrong.
// In:  which log.
// Out: tests.
// Absent: what it finds (commands/verify/corruptions.pg.test.ts).

import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { runCommand, type CommandEnd } from '../commands.ts'
import { confusedShape } from '../generate.ts'
import { column } from '../ledger.ts'
import type { Program } from '../program.ts'
import { Setting, type LogKind } from './setting.ts'

/** Links are made, and leaves opened and sealed, all the time. */
const busy = ['--chain-interval', '1', '--open-leaf-rate', '50', '--buckets', '4']
const lateMs = 60_000

export function describeVerify(log: LogKind, databases: number): void {
  describe(`transaction-ledger verify on the ${log} log`, () => {
    let setting: Setting
    let program: Program
    before(async () => {
      setting = await Setting.open({ log, databases, shape: confusedShape, clients: 3 })
      program = await setting.startReady(...busy)
    })
    after(() => setting.close())

    function verify(...flags: string[]): Promise<CommandEnd> {
      return runCommand(['verify', ...setting.whereabouts, ...flags])
    }

    async function assertAgrees(): Promise<CommandEnd> {
      const verified = await verify()
      assert.deepEqual([verified.code, verified.out], [0, ''], verified.err)
      return verified
    }

    async function until(sql: string, least: number): Promise<void> {
      const end = performance.now() + lateMs
      for (;;) {
        let sum = 0
        for (const url of setting.databases) sum += Number((await column(url, sql))[0])
        if (sum >= least) return
        assert(performance.now() < end, `${sum} of ${least}: ${sql}\n${program.story()}`)
        await delay(50)
      }
    }

    test('it agrees while the program is under load, killed, and back again', async () => {
      const load = setting.startLoad()
      await until('SELECT count(*) FROM ledger.chain', 100)
      await assertAgrees()
      await until('SELECT coalesce(max(link), 0) FROM ledger.chain', 4)
      program.kill('SIGKILL')
      await program.exited
      await assertAgrees()
      program = await setting.startReady(...busy)
      await load.stop()
      await setting.assertAllKept()
      await setting.assertStops(program)
      const { err } = await assertAgrees()
      assert.match(err, /^[\d,]+ rows, [1-9][\d,]* conflicts and [\d,]+ entries of the log/m)
      assert(!err.includes('vouched for'), `all of it is in links:\n${err}`)
    })

    test('and no longer once a row is changed', async () => {
      const [url] = setting.databases
      const row = '(SELECT account_id, id FROM ledger.transactions LIMIT 1)'
      const sql = `UPDATE ledger.transactions SET amount = amount # 1
        WHERE (account_id, id) = ${row} RETURNING 1`
      assert.equal((await column(url, sql)).length, 1)
      const { code, out } = await verify()
      assert.equal(code, 1)
      assert.match(out, /^chain content: partition \d+, link \d+, /m)
      // The broker still has what the row was made of.
      if (log === 'kafka') assert.match(out, /^row amount: account .*, offset \d+, entry \d+: /m)
    })
  })
}
