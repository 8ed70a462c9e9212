// Several processes on one topic: what happens to the rest when one dies, sleeps, or is one too
// many.

import assert from 'node:assert/strict'
import { after, afterEach, before, describe, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { Client as Database } from 'pg'
import { readCheckpoints } from '../checker-tables.ts'
import { confusedShape } from '../generate.ts'
import type { Program } from '../program.ts'
import { Setting } from './setting.ts'

const shape = { ...confusedShape, batchItems: [1, 20, 200, 1000] }
/** The contract: the others take over within this time. */
const takeoverMs = 15_000

describe('of several processes', () => {
  let setting: Setting
  let ingress: Program
  before(async () => {
    setting = await Setting.open({ log: 'kafka', databases: 1, shape, clients: 3 })
    ingress = await setting.startReady('--role', 'ingress')
  })
  after(() => setting.close())

  /** Processes that hold partitions, by the name they have in the tables, with how many. */
  async function owners(): Promise<Map<string, number>> {
    const counts = new Map<string, number>()
    for (const url of setting.databases) {
      for (const { owner } of await readCheckpoints(url)) {
        counts.set(owner, (counts.get(owner) ?? 0) + 1)
      }
    }
    return counts
  }

  async function until(what: string, holds: () => Promise<boolean>): Promise<void> {
    const deadline = Date.now() + takeoverMs * 2
    while (!(await holds())) {
      if (Date.now() > deadline) {
        const found = JSON.stringify([...(await owners())])
        throw new Error(`${what} did not come; partitions are held by ${found}.`)
      }
      await delay(50)
    }
  }

  /** A load goes on for a second after `from`, and all of it must be in the tables in time. */
  async function assertTakenOver(load: { stop(): Promise<void> }, from: number): Promise<void> {
    await delay(1000)
    await load.stop()
    await setting.assertAllKept(takeoverMs)
    const tookMs = Date.now() - from
    console.log(`taken over and persisted after ${tookMs} ms`)
    assert(tookMs < takeoverMs, `expected the others to take over in 15 s, they took ${tookMs} ms`)
  }

  const workers: Program[] = []

  async function startWorker(...flags: string[]): Promise<Program> {
    const program = setting.start('--role', 'worker', ...flags)
    workers.push(program)
    return program.ready()
  }

  async function endAll(): Promise<void> {
    for (const program of workers.splice(0)) {
      assert.equal((await program.stop()).code, 0, program.story())
    }
    assert.equal(ingress.end, undefined, ingress.story())
  }

  /** What a failed test has left must not join in the next one. */
  afterEach(async () => {
    for (const program of workers.splice(0)) {
      program.kill('SIGKILL')
      await program.exited
    }
  })

  test('the others take over when one is killed', async () => {
    const first = await startWorker()
    const firstName = [...(await owners()).keys()].join()
    await startWorker()
    await until('sharing', async () => (await owners()).size === 2)
    const load = setting.startLoad()
    await delay(1000)
    first.kill('SIGKILL')
    await assertTakenOver(load, Date.now())
    assert(!(await owners()).has(firstName), 'the killed process holds partitions still')
    workers.shift()
    await endAll()
  })

  test('one that sleeps in a flush writes nothing when it wakes, and joins again', async () => {
    const sleeper = await startWorker()
    const sleeperName = [...(await owners()).keys()].join()
    await startWorker()
    await until('sharing', async () => (await owners()).size === 2)
    const load = setting.startLoad()
    await assertTakenOver(load, await stopInFlush(sleeper))
    assert(!(await owners()).has(sleeperName), 'the sleeping process holds partitions still')
    sleeper.kill('SIGCONT')
    // Which of the two tells it first, the database or the group, is a matter of milliseconds.
    await sleeper.logged((line) => isFenced(line) || line['facility'] === 'SESSTMOUT')
    const again = setting.startLoad()
    await until('sharing again', async () => (await owners()).has(sleeperName))
    await delay(1000)
    await again.stop()
    await setting.assertAllKept()
    await endAll()
  })

  test('one that sleeps while its partitions are taken is told by the database alone', async () => {
    const sleeper = await startWorker('--partitions', '0-127')
    const sleeperName = [...(await owners()).keys()].join()
    const load = setting.startLoad()
    const stoppedAt = await stopInFlush(sleeper)
    const winner = await startWorker('--partitions', '0-127')
    await assertTakenOver(load, stoppedAt)
    sleeper.kill('SIGCONT')
    await sleeper.logged(isFenced)
    const again = setting.startLoad()
    await delay(500)
    await again.stop()
    await setting.assertAllKept()
    assert(!(await owners()).has(sleeperName), 'the process that was fenced holds partitions still')
    assert.equal((await fetch(`${sleeper.url}/readyz`)).status, 503)
    assert.equal((await fetch(`${winner.url}/readyz`)).status, 200)
    await endAll()
  })

  test('one that is given the partitions of another takes them, and the other stops', async () => {
    const loser = await startWorker('--partitions', '0-127')
    const loserName = [...(await owners()).keys()].join()
    const load = setting.startLoad()
    await delay(500)
    const winner = await startWorker('--partitions', '0-127')
    await loser.logged(isFenced)
    await assertTakenOver(load, Date.now())
    assert(!(await owners()).has(loserName), 'the loser holds partitions still')
    assert.equal((await fetch(`${loser.url}/readyz`)).status, 503)
    assert.equal((await fetch(`${winner.url}/readyz`)).status, 200)
    await endAll()
  })

  function isFenced({ msg }: { msg?: string }): boolean {
    return msg?.startsWith('fenced') === true
  }

  /**
   * Stops the process while it has an open transaction with checkpoints moved; resolves with when.
   */
  async function stopInFlush(program: Program): Promise<number> {
    const database = new Database(setting.databases[0])
    await database.connect()
    const open = async (): Promise<string[]> => {
      const result = await database.query<{ session: string }>(
        `SELECT a.pid || ' ' || a.xact_start AS session
           FROM pg_stat_activity a JOIN pg_locks l USING (pid)
          WHERE l.relation = 'ledger.checkpoints'::regclass AND l.mode = 'RowExclusiveLock'`,
      )
      return result.rows.map(({ session }) => session)
    }
    for (let tries = 0; tries < 200; tries++) {
      program.kill('SIGSTOP')
      const stoppedAt = Date.now()
      // What is open still after a while belongs to the one that sleeps.
      const before = await open()
      await delay(300)
      const after = before.length === 0 ? [] : await open()
      if (before.some((session) => after.includes(session))) {
        await database.end()
        return stoppedAt
      }
      program.kill('SIGCONT')
      await delay(setting.random.between(5, 60))
    }
    throw new Error('The process was never stopped within a flush.')
  }
})
