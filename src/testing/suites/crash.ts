// The crash suite: the program and its PostgreSQL are killed under load, again and again.
// In:  which log.
// Out: tests.
// Absent: several processes at once (takeover.kafka.test.ts).

import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { crashPoints, type CrashPoint } from '../crash.ts'
import { confusedShape } from '../generate.ts'
import { kill, postmasterPids } from '../postmasters.ts'
import { Setting, type LogKind } from './setting.ts'

const shape = { ...confusedShape, batchItems: [1, 20, 200, 1000] }
const randomKills = 8
const postmasterKills = 3
const ownKills = 2

/** Reached once in a life: each worker claims its partitions at the start. */
const oncePoints: readonly CrashPoint[] = ['after-claim']

/** Reached only under a load that opens leaves (crash-open.embedded.test.ts). */
const openPoints: readonly CrashPoint[] = ['after-leaf-opened', 'before-leaf-sealed']

/** Reached once a bucket has got large (crash-rollups.embedded.test.ts). */
const rollupPoints: readonly CrashPoint[] = ['after-rollup-armed', 'before-rollup-commit']

/** Reached by commands only (commands/archive.pg.test.ts). */
const commandPoints: readonly CrashPoint[] = [
  'after-archive-file',
  'after-archive-manifest',
  'before-archive-commit',
  'after-archive-commit',
  'before-restore-attached',
  'before-restore-commit',
]

/** Trimming is what the embedded log does; Kafka has its retention. */
function pointsOf(log: LogKind): readonly CrashPoint[] {
  const elsewhere = [...openPoints, ...rollupPoints, ...commandPoints]
  const everywhere = crashPoints.filter((point) => !elsewhere.includes(point))
  return everywhere.filter((point) => log === 'embedded' || point !== 'before-trim')
}

/**
 * Membership of a group is not at stake here (takeover.kafka.test.ts), and waiting for the
 * coordinator to give up on each process killed would take most of the time.
 */
const ownPartitions = ['--partitions', '0-127']

export function describeCrashes(log: LogKind): void {
  describe(`on the ${log} log`, () => {
    crashesOfTheProgram(log)
    crashesOfPostgres(log)
  })
}

function crashesOfTheProgram(log: LogKind): void {
  describe('with a PostgreSQL that stays up', () => {
    let setting: Setting
    before(async () => {
      setting = await Setting.open({ log, databases: 1, shape, clients: 4 })
      await setting.startReady(...ownPartitions).then((program) => program.stop())
    })
    after(() => setting.close())

    for (const point of pointsOf(log)) {
      test(`nothing is lost or doubled by SIGKILL ${point}`, async () => {
        const load = setting.startLoad()
        const nth = oncePoints.includes(point) ? 1 : setting.random.between(1, 30)
        const doomed = setting.start(...ownPartitions, '--crash-at', `${point}:${nth}`)
        assert.equal((await doomed.awaitEnd()).signal, 'SIGKILL', doomed.story())
        await setting.assertNothingWrong()
        await setting.assertAppliedIsCheckpoint()
        const program = setting.start(...ownPartitions)
        await load.stop()
        await setting.assertAllKept()
        await setting.assertStops(program)
      })
    }

    test(`nothing is lost or doubled by ${randomKills} SIGKILLs at random instants`, async () => {
      const load = setting.startLoad()
      for (let i = 0; i < randomKills; i++) {
        const program = setting.start(...ownPartitions)
        // One in four dies while it starts, the others under load.
        if (i % 4 > 0) await program.ready()
        await delay(setting.random.between(50, 1000))
        program.kill('SIGKILL')
        await program.exited
        await setting.assertNothingWrong()
        if (i % 4 === 3) await setting.assertAppliedIsCheckpoint()
      }
      const program = setting.start(...ownPartitions)
      await load.stop()
      await setting.assertAllKept()
      await setting.assertStops(program)
    })
  })
}

/** The default of a newcomer: the program keeps its PostgreSQL, and finds it again. */
export function describeCrashesWithOwnPostgres(): void {
  describe('with a PostgreSQL of its own', () => {
    let setting: Setting
    before(async () => {
      setting = await Setting.open({ log: 'embedded', databases: 0, shape, clients: 4 })
      await setting.startReady().then((program) => program.stop())
    })
    after(() => setting.close())

    function killPostgres(): void {
      for (const pid of postmasterPids(setting.directory)) kill(pid, 'SIGKILL')
    }

    test('nothing is lost or doubled when the program is killed and finds it again', async () => {
      const load = setting.startLoad()
      for (let i = 0; i < ownKills * 2; i++) {
        const program = await setting.startReady()
        await delay(setting.random.between(0, 1000))
        program.kill('SIGKILL')
        // Every other time PostgreSQL dies with it, and takes unwritten commits along.
        if (i % 2 === 1) killPostgres()
        await program.exited
      }
      const program = await setting.startReady()
      await load.stop()
      await setting.assertAllKept()
      await setting.assertStops(program)
    })

    test('nothing is lost or doubled when PostgreSQL is killed and started again', async () => {
      const program = await setting.startReady()
      const load = setting.startLoad()
      for (let i = 0; i < ownKills; i++) {
        await delay(setting.random.between(100, 1000))
        killPostgres()
        await setting.databasesAnswer()
      }
      await load.stop()
      await setting.assertAllKept()
      await setting.assertStops(program)
    })
  })
}

function crashesOfPostgres(log: LogKind): void {
  describe('with a PostgreSQL that is killed', () => {
    test(`nothing is lost or doubled by ${postmasterKills} SIGKILLs of the postmaster`, async () => {
      const setting = await Setting.open({ log, databases: 1, shape, clients: 4 })
      try {
        const program = await setting.startReady()
        const load = setting.startLoad()
        for (let i = 0; i < postmasterKills; i++) {
          await delay(setting.random.between(300, 1500))
          await setting.postgres.killPostmaster()
          // The log takes the load meanwhile.
          await delay(setting.random.between(0, 500))
          await setting.postgres.start()
          assert.equal(program.end, undefined, program.story())
          await setting.assertNothingWrong()
        }
        await load.stop()
        await setting.assertAllKept()
        await setting.assertStops(program)
      } finally {
        await setting.close()
      }
    })
  })
}
