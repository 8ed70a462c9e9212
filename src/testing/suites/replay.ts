// What replay promises, on either log: tables made anew from it are the tables that there were.
// In:  which log.
// Out: tests.
// Absent: the program's code: it, and its command, are run as any operator would run them.

import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { runCommand, type CommandEnd } from '../commands.ts'
import { confusedShape } from '../generate.ts'
import { column } from '../ledger.ts'
import { Setting, type LogKind } from './setting.ts'

const shape = { ...confusedShape, batchItems: [1, 20, 300] }

export function describeReplay(log: LogKind): void {
  describe(`replay from the ${log} log`, () => {
    let setting: Setting
    before(async () => {
      setting = await Setting.open({ log, databases: 2, shape, clients: 2 })
    })
    after(() => setting.close())

    const replay = (...more: string[]): Promise<CommandEnd> =>
      runCommand(['replay', ...setting.whereabouts, ...more])

    async function loadFor(batches: number): Promise<void> {
      const program = await setting.startReady('--keep-log')
      const load = setting.startLoad()
      const wanted = setting.history.batches.length + batches
      while (setting.history.batches.length < wanted) await delay(20)
      await load.stop()
      await setting.assertAllKept()
      await setting.assertStops(program)
    }

    async function ask(sql: string): Promise<unknown[]> {
      return (await Promise.all(setting.databases.map((url) => column(url, sql)))).flat()
    }
    const rows = () =>
      ask(`SELECT concat_ws(' ', account_id, id, amount, created_at) FROM ledger.transactions
        ORDER BY account_id, id`)
    const chain = () =>
      ask(`SELECT concat_ws(' ', partition, link, hash) FROM ledger.chain ORDER BY partition, link`)

    test('a killed replay goes on, and makes every row again, to the microsecond', async () => {
      await loadFor(150)
      const expected = await rows()
      const links = await chain()
      assert.notEqual(links.length, 0)
      const killed = await runCommand(['replay', ...setting.whereabouts], 'after-commit:2')
      assert.equal(killed.code, 'SIGKILL', killed.err)
      assert.deepEqual(await rows(), expected, 'what is made is not what is served')
      const done = await replay()
      assert.equal(done.code, 0, done.err)
      assert.match(done.err, /\(100\.0%\)/)
      assert.match(done.out, /created_at of entries: -?\d+, the same/)
      assert.match(done.out, /swapped in; what was there is in ledger_before_replay/)
      assert.deepEqual(await rows(), expected)
      assert.deepEqual(await chain(), links, 'heads that are kept elsewhere still prove it')
      const again = await replay()
      assert.equal(again.code, 2)
      assert.match(again.err, /Drop it first: replay --drop-old/)
      assert.equal((await replay('--drop-old')).code, 0)
      for (const url of setting.databases) {
        const schemas = await column(
          url,
          `SELECT nspname FROM pg_namespace WHERE nspname ~ '^ledger'`,
        )
        assert.deepEqual(schemas, ['ledger'])
        const names = await column(
          url,
          `SELECT prosrc FROM pg_proc WHERE pronamespace = 'ledger'::regnamespace UNION ALL
           SELECT description FROM pg_description`,
        )
        assert.deepEqual(
          names.filter((text) => String(text).includes('ledger_replay')),
          [],
        )
      }
    })

    // What follows is the same on either log.
    if (log === 'kafka') return

    test('the program goes on where it was, and the books are proven', async () => {
      await loadFor(60)
      const verified = await runCommand(['verify', ...setting.whereabouts])
      assert.equal(verified.code, 0, verified.out + verified.err)
    })

    test('tables that differ from the log are not swapped unless that is asked for', async () => {
      const expected = await rows()
      const [url = ''] = setting.databases
      await column(
        url,
        `UPDATE ledger.transactions SET amount = amount / 2 + 1 WHERE (account_id, id) IN (
           SELECT account_id, id FROM ledger.transactions WHERE amount > 9 ORDER BY id LIMIT 1)`,
      )
      const differing = await replay()
      assert.equal(differing.code, 3, differing.err)
      assert.match(differing.out, /sum of entries: -?\d+ is now -?\d+/)
      assert.match(differing.out, /2 differences; nothing is swapped/)
      assert.notDeepEqual(await rows(), expected)
      const accepted = await replay('--accept-differences')
      assert.equal(accepted.code, 0, accepted.err)
      assert.deepEqual(await rows(), expected)
      await setting.assertAllKept()
      assert.equal((await replay('--drop-old')).code, 0)
    })

    test('while the program runs it is refused', async () => {
      const program = await setting.startReady('--keep-log')
      const refused = await replay()
      assert.notEqual(refused.code, 0)
      assert.match(refused.err, /is in use by/)
      await setting.assertStops(program)
    })
  })
}
