// The end-to-end suite: what several clients send is in the tables, row for row, and can be read
// back.
// In:  which log, and how many databases.
// Out: tests.
// Absent: crashes (crash.ts).

import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { Client as Database } from 'pg'
import { plainShape } from '../generate.ts'
import { deliverAll, startLoad } from '../load.ts'
import type { Program } from '../program.ts'
import { assertBalance, assertStatement, entriesByAccount, metric } from './reads.ts'
import { Setting, type LogKind } from './setting.ts'

const transactions = 200_000
const clients = 6

export function describeEndToEnd(log: LogKind, databases: number): void {
  describe(`on the ${log} log`, () => {
    whatIsSentIsKept(log, databases)
    whatIsTakenIsFinished(log)
  })
}

/** The tests build on each other, in their order. */
function whatIsSentIsKept(log: LogKind, databases: number): void {
  describe('of 200,000 transactions of several clients', () => {
    let setting: Setting
    let program: Program
    let fingerprint: string
    before(async () => {
      setting = await Setting.open({ log, databases, shape: plainShape, clients })
      program = await setting.startReady()
    })
    after(() => setting.close())

    test('each is in the tables, row for row', async () => {
      const { random, generator } = setting
      const options = { clients: setting.clients, generator, random, abandonShare: 0 }
      await startLoad({ ...options, contentsMax: transactions }).finished
      const report = await setting.assertAllKept()
      assert.deepEqual([report.rows, report.conflicts], [transactions, 0])
      fingerprint = await fingerprintOf(setting)
    })

    test('the metrics count each once', async () => {
      assert.equal(await metric(program.url, 'ledger_persisted_transactions_total'), transactions)
      const accepted = await metric(program.url, 'ledger_accepted_transactions_total')
      assert.equal(accepted, acknowledgedItems(setting))
      while ((await metric(program.url, 'ledger_lag_records')) > 0) await delay(100)
    })

    test('none is written again when all of them are sent again', async () => {
      await deliverAll(setting.clients, [...setting.history.batches])
      const report = await setting.assertAllKept()
      await awaitApplied(setting, program)
      assert.deepEqual([report.rows, report.conflicts], [transactions, 0])
      assert.equal(await fingerprintOf(setting), fingerprint)
    })

    test('none is changed by another amount, which is one conflict each', async () => {
      const rivals = [...setting.history.batches].map((batch) => setting.generator.rivals(batch))
      await deliverAll(setting.clients, rivals)
      await setting.assertAllKept()
      await deliverAll(setting.clients, rivals)
      await awaitApplied(setting, program)
      const report = await setting.assertAllKept()
      assert.deepEqual([report.rows, report.conflicts], [transactions, transactions])
      assert.equal(await fingerprintOf(setting), fingerprint)
    })

    test('balances are exact, and statements list every entry once, newest first', async () => {
      const accounts = [...entriesByAccount(setting.history, transactions)]
      accounts.sort(([, a], [, b]) => b.size - a.size)
      const some = [...accounts.slice(0, 5), ...accounts.filter((_, i) => i % 97 === 0)]
      for (const [account, entries] of some) {
        await assertBalance(program.url, account, entries)
        await assertStatement(program.url, account, entries, entries.size > 1000 ? 500 : 7)
      }
    })

    test('SIGTERM ends the program with code 0', async () => {
      assert.equal((await program.stop()).code, 0, program.story())
    })
  })
}

/**
 * The embedded log is the program's own to finish; what is in Kafka, another worker goes on with.
 */
function whatIsTakenIsFinished(log: LogKind): void {
  const then = log === 'embedded' ? 'is persisted when it exits' : 'is persisted by the next'
  test(`SIGTERM under load exits 0, and what was acknowledged ${then}`, async () => {
    const setting = await Setting.open({ log, databases: 1, shape: plainShape, clients })
    try {
      const program = await setting.startReady()
      const load = setting.startLoad()
      await delay(1500)
      assert.equal((await program.stop()).code, 0, program.story())
      for (const client of setting.clients) client.close()
      await load.stop()
      if (log === 'kafka') await setting.startReady()
      const report = await setting.assertAllKept(log === 'kafka' ? 20_000 : 0)
      assert(report.rows > 0)
    } finally {
      await setting.close()
    }
  })
}

/** Changes whenever any row does. */
async function fingerprintOf(setting: Setting): Promise<string> {
  const parts: string[] = []
  for (const url of setting.databases) {
    const database = new Database(url)
    await database.connect()
    const result = await database.query<{ print: string }>(
      `SELECT count(*) || ' ' || sum(hashtextextended(t::text || t.xmin, 0)) AS print
         FROM ledger.transactions t`,
    )
    parts.push(result.rows[0]?.print ?? '')
    await database.end()
  }
  return parts.join()
}

function acknowledgedItems(setting: Setting): number {
  let items = 0
  for (const { count, attempts } of setting.history.batches) {
    items += count * attempts.filter(({ answer }) => answer === 'acknowledged').length
  }
  return items
}

/** Waits until every acknowledged item has been seen by the workers, whatever became of it. */
async function awaitApplied(setting: Setting, program: Program): Promise<void> {
  const names = ['persisted_transactions', 'duplicate_transactions', 'conflicts']
  const deadline = Date.now() + 30_000
  for (;;) {
    let seen = 0
    for (const name of names) seen += await metric(program.url, `ledger_${name}_total`)
    if (seen >= acknowledgedItems(setting)) return
    const found = `${seen} of ${acknowledgedItems(setting)}`
    assert(Date.now() < deadline, `the workers have seen ${found} acknowledged items`)
    await delay(100)
  }
}
