// Disks that fill up and are freed: that of the embedded log, and that of PostgreSQL.
// In:  a scene with its data on a small disk.
// Out: trials.
// Absent: making the disk (testing/small-disk.ts).

import assert from 'node:assert/strict'
import { setTimeout as delay } from 'node:timers/promises'
import { Client } from '../../client.ts'
import { openSmallDisk, type SmallDisk } from '../../small-disk.ts'
import type { Scene, SceneDemands, Trial } from '../fault.ts'

const logDiskMegabytes = 256
/** A fresh cluster takes 50 MB, and its write-ahead log is let grow to 256. */
const databaseDiskMegabytes = 640
const fullMs = 4_000
const noticeMs = 10_000
const resumeMs = 10_000
const rounds = 3

interface Outcome {
  answer: string
  /** Status and problem document, or what cut the connection. */
  detail: string
}

/** One small request; what was answered is in the history as well. */
async function post(scene: Scene): Promise<Outcome> {
  const { history } = scene
  const client = new Client({ name: 'disk trial', history, targets: () => scene.targets() })
  const batch = scene.generator.batch(10)
  await client.send(batch)
  client.close()
  const attempt = batch.attempts.at(-1)
  assert(attempt !== undefined, 'a request was made')
  return { answer: attempt.answer, detail: attempt.detail }
}

async function until(
  scene: Scene,
  what: string,
  withinMs: number,
  fits: (outcome: Outcome) => boolean,
): Promise<void> {
  const startedAt = Date.now()
  for (;;) {
    const outcome = await post(scene)
    const tookMs = Date.now() - startedAt
    if (fits(outcome)) {
      scene.note(`${what} after ${tookMs} ms: ${outcome.detail}`)
      return
    }
    if (tookMs > withinMs) {
      throw new Error(`${what} not within ${withinMs} ms; the last answer: ${outcome.detail}`)
    }
    await delay(50)
  }
}

const isTaken = ({ answer }: Outcome): boolean => answer === 'acknowledged'

/** As the design has it: not taken for now, and nothing but the disk is to blame. */
function isRefusedForSpace({ detail }: Outcome): boolean {
  return /^50[37] /.test(detail) && /disk is full|no space/i.test(detail)
}

async function fillLog(scene: Scene, disk: SmallDisk): Promise<void> {
  for (let round = 0; round < rounds; round++) {
    scene.note(`the log's disk is filled with ${await disk.fill()} bytes`)
    await until(scene, 'refused', noticeMs, isRefusedForSpace)
    const { status } = await fetch(`${scene.members[0]?.program.url}/readyz`)
    assert.equal(status, 503, 'a program that takes nothing says that it is not ready')
    await delay(fullMs)
    await disk.free()
    scene.note('the disk is freed')
    await until(scene, 'taken again', resumeMs, isTaken)
  }
}

/** The log takes requests meanwhile; PostgreSQL refuses rows, or ends for lack of its own log. */
async function fillDatabase(scene: Scene, disk: SmallDisk): Promise<void> {
  for (let round = 0; round < rounds; round++) {
    scene.note(`the disk of PostgreSQL is filled with ${await disk.fill()} bytes`)
    const full = Date.now()
    while (Date.now() < full + fullMs * 2) {
      assert(isTaken(await post(scene)), 'ingress goes on while PostgreSQL cannot write')
      await delay(100)
      // What PostgreSQL gives up itself is taken as well.
      await disk.fill()
    }
    await disk.free()
    scene.note('the disk is freed')
    if (!isAlive(scene.postgres.pid())) {
      await scene.postgres.start()
      scene.note('PostgreSQL had ended, and is started again')
    }
    await until(scene, 'taken', resumeMs, isTaken)
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

/** The disk is mounted when it is asked whether the trial can be had, and the scene goes there. */
function trialOn(
  megabytes: number,
  demands: (path: string) => SceneDemands,
  trial: Pick<Trial, 'name' | 'what' | 'logs'>,
  run: (scene: Scene, disk: SmallDisk) => Promise<void>,
): Trial {
  let disk: SmallDisk | undefined
  return {
    ...trial,
    kind: 'disk',
    halts: false,
    get scene() {
      return disk === undefined ? {} : demands(disk.path)
    },
    unavailable: async () => {
      const opened = await openSmallDisk(megabytes)
      if (typeof opened === 'string') return opened
      disk = opened
      return undefined
    },
    run: async (scene) => {
      assert(disk !== undefined, 'a disk was made')
      await run(scene, disk)
    },
  }
}

export const diskTrials: readonly Trial[] = [
  trialOn(
    logDiskMegabytes,
    (path) => ({ dataDirectory: path }),
    {
      name: 'disk-full-log',
      what: 'The disk of the embedded log fills up and is freed, three times: 503, nothing lost.',
      logs: ['embedded'],
    },
    fillLog,
  ),
  trialOn(
    databaseDiskMegabytes,
    (path) => ({ postgresDirectory: path }),
    {
      name: 'disk-full-postgres',
      what: 'The disk of PostgreSQL fills up and is freed, three times: the log takes the load.',
      logs: ['embedded', 'kafka'],
    },
    fillDatabase,
  ),
]
