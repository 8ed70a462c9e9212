// PostgreSQL comes back from a copy that is older than what was persisted.
// In:  a scene under load.
// Out: trials: with a log that has kept the difference, and with one that has not.
// Absent: how copies are made in production.

import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { promisify } from 'node:util'
import { openEmbeddedLog } from '../../../log/embedded.ts'
import { stopPostmaster } from '../../../postgres/cluster.ts'
import { partitionCount } from '../../../record/layout.ts'
import { readCheckpoints } from '../../checker-tables.ts'
import type { Scene, Trial } from '../fault.ts'

const run = promisify(execFile)

/** How much is persisted after the copy was made, in time. */
const ageMs = 6_000
const noticeMs = 30_000
/** Workers claim their partitions one bucket after the other. */
const claimMs = 3_000

/** While PostgreSQL is stopped, its directory is as good a copy as any. */
async function copyPostgres(scene: Scene): Promise<string> {
  const { postgres } = scene
  const copy = join(postgres.directory, 'copy')
  await stopPostmaster(postgres.pid())
  await run('cp', ['-a', join(postgres.directory, 'cluster'), copy])
  await postgres.start()
  scene.note('PostgreSQL was copied')
  return copy
}

async function restorePostgres(scene: Scene, copy: string): Promise<void> {
  const { postgres } = scene
  const cluster = join(postgres.directory, 'cluster')
  await stopPostmaster(postgres.pid())
  await rm(cluster, { recursive: true })
  await run('mv', [copy, cluster])
  await postgres.start()
  scene.note('PostgreSQL is back from the copy')
}

const retained: Trial = {
  name: 'restored-copy',
  kind: 'postgres',
  what: 'PostgreSQL from an older copy; the log has kept all since, and comes to the same books.',
  logs: ['kafka'],
  halts: false,
  run: async (scene) => {
    const copy = await copyPostgres(scene)
    await delay(ageMs)
    await restorePostgres(scene, copy)
  },
}

const trimmed: Trial = {
  name: 'restored-copy-trimmed',
  kind: 'postgres',
  what: 'PostgreSQL from an older copy; the log lacks some since, and the program says which.',
  logs: ['embedded'],
  halts: true,
  run: async (scene) => {
    const copy = await copyPostgres(scene)
    await delay(ageMs)
    await restorePostgres(scene, copy)
    const [member] = scene.members
    assert(member !== undefined)
    const reasons = await haltReasons(member.program.url)
    await member.kill()
    const directory = join(scene.dataDirectory, 'log')
    const log = await openEmbeddedLog({ directory, diskBytesMax: 2 ** 34 })
    const ranges = await log.ranges(Array.from({ length: partitionCount }, (_, each) => each))
    await log.close()
    let gone = 0
    for (const { partition, nextOffset } of await readCheckpoints(scene.databaseUrl)) {
      const first = ranges.get(partition)?.first ?? 0
      if (first <= nextOffset) continue
      gone += 1
      const told = reasons.find((reason) => reason.includes(`Partition ${partition}:`))
      assert(told !== undefined, `partition ${partition} is not named: ${reasons.join('\n')}`)
      assert.match(told, new RegExp(`\\b${nextOffset}\\b`), 'what is expected is said')
      assert.match(told, new RegExp(`\\b${first}\\b`), 'what is there is said')
    }
    assert(gone > 0, 'the log has let go of nothing')
    scene.note(`the program named all ${gone} partitions with what they lack`)
  },
}

/** What readiness says once it has named partitions, and names no more of them. */
async function haltReasons(url: string): Promise<readonly string[]> {
  const deadline = Date.now() + noticeMs
  let before: readonly string[] = []
  for (;;) {
    const response = await fetch(`${url}/readyz`).catch(() => undefined)
    const text = (await response?.text()) ?? ''
    const reasons = text.match(/Partition \d+: expected offset \d+, the log begins at \d+/g) ?? []
    if (reasons.length > 0 && reasons.length === before.length) return reasons
    if (Date.now() > deadline) throw new Error(`Readiness does not say that it halted: ${text}`)
    before = reasons
    await delay(claimMs)
  }
}

export const restoredCopies: readonly Trial[] = [retained, trimmed]
