// Everything that must hold once the load has stopped and every fault is healed.
// In:  a scene, the memory its processes are allowed.
// Out: breaches, with the whole history of what is concerned; how long it took.
// Absent: faults; what must hold at any instant (watch.ts).

import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { openEmbeddedLog } from '../../log/embedded.ts'
import { partitionCount } from '../../record/layout.ts'
import { auditLog } from '../audit.ts'
import { readCheckpoints } from '../checker-tables.ts'
import { check, type CheckReport } from '../checker.ts'
import { topicEnds, topicRecords } from '../kafka-topic.ts'
import { balanceBreaches } from './balances.ts'
import type { LiveScene } from './scene.ts'
import type { Tables } from './tables.ts'

export interface Settled {
  rows: number
  conflicts: number
  quarantined: number
  /** From the end of the load until every checkpoint was at the end of the log. */
  lagMs: number
  breaches: string[]
}

/** How long after the load everything must have been persisted. */
const lagMsMax = 60_000
const lookMs = 50
/** The program measures its lag once a second. */
const anewMs = 1_500

export async function settle(
  scene: LiveScene,
  tables: Tables,
  given: { ignoreTimes: boolean; auditsLog: boolean },
): Promise<Settled> {
  const { history, injected } = scene
  const breaches: string[] = []
  const lag = await untilApplied(scene, tables)
  if (lag.behind !== undefined) breaches.push(lag.behind)
  const options = {
    databases: [scene.databaseUrl],
    history,
    badRecords: injected.records,
    ignoreTimes: given.ignoreTimes,
  }
  const report = await check({ ...options, ...(lag.ends && { logEnds: lag.ends }) })
  breaches.push(...told(report))
  breaches.push(...(await balanceBreaches(scene, tables)))
  breaches.push(...history.faults, ...(await audit(scene, given.auditsLog)))
  const { refused } = history.answers()
  if (refused > 0) breaches.push(`${refused} requests were refused, and none was malformed`)
  return {
    rows: report.rows,
    conflicts: report.conflicts,
    quarantined: injected.count,
    lagMs: lag.tookMs,
    breaches,
  }
}

interface Lag {
  tookMs: number
  ends?: ReadonlyMap<number, number>
  behind?: string
}

/**
 * Nothing is behind and nothing more comes, in two looks between which every figure was made anew:
 * what clients gave up may still be on its way to the log. On Kafka the log itself is asked where
 * it ends. The embedded one is its process's own, which says how far it is behind; that log is
 * opened once the process has ended (`stopAll`).
 */
async function untilApplied(scene: LiveScene, tables: Tables): Promise<Lag> {
  const startedAt = Date.now()
  let since: { mark: string; tookMs: number } | undefined
  for (;;) {
    const { behind, mark, ends } = await lookBehind(scene, tables)
    const tookMs = Date.now() - startedAt
    if (behind === 0 && since?.mark === mark) return { tookMs: since.tookMs, ...(ends && { ends }) }
    since = behind === 0 ? { mark, tookMs } : undefined
    if (tookMs > lagMsMax) {
      const still = `${behind} records are not applied after ${tookMs} ms`
      return { tookMs, behind: still, ...(ends && { ends }) }
    }
    await delay(behind === 0 ? anewMs : lookMs)
  }
}

interface Look {
  behind: number
  /** The same as long as nothing comes to the log. */
  mark: string
  ends?: ReadonlyMap<number, number>
}

async function lookBehind(scene: LiveScene, tables: Tables): Promise<Look> {
  if (scene.brokers === undefined) return lookAtOwnLog(scene)
  const ends = await topicEnds(scene.brokers.bootstrap, scene.topic)
  const rows = await tables.ask<{ partition: number; next: number }>(
    'SELECT partition::int, next_offset::float8 AS next FROM ledger.checkpoints',
  )
  const reached = new Map(rows.map(({ partition, next }) => [partition, next]))
  let behind = 0
  for (const [partition, end] of ends) behind += Math.abs(end - (reached.get(partition) ?? 0))
  return { behind, mark: JSON.stringify([...ends]), ends }
}

async function lookAtOwnLog({ members }: LiveScene): Promise<Look> {
  const marks: number[] = []
  let behind = 0
  for (const { directUrl } of members) {
    const metrics = await metricsOf(directUrl)
    behind += metrics?.get('ledger_lag_records') ?? Infinity
    marks.push(metrics?.get('ledger_appended_records_total') ?? 0)
  }
  return { behind, mark: marks.join() }
}

/** Sums of the metrics over their labels; undefined where nobody answers. */
export async function metricsOf(url: string): Promise<Map<string, number> | undefined> {
  const response = await fetch(`${url}/metrics`, { signal: AbortSignal.timeout(1_000) }).catch(
    () => undefined,
  )
  const text = await response?.text().catch(() => undefined)
  if (text === undefined) return undefined
  const sums = new Map<string, number>()
  for (const [, name, value] of text.matchAll(/^(ledger_\w+)(?:\{.*\})? (\S+)$/gm)) {
    if (name !== undefined) sums.set(name, (sums.get(name) ?? 0) + Number(value))
  }
  return sums
}

function told({ violations, counts }: CheckReport): string[] {
  const stories = violations.map(({ kind, story }) => `${kind}: ${story}`)
  return stories.length === 0 ? [] : [`all breaches: ${JSON.stringify(counts)}`, ...stories]
}

/** Where the log keeps everything: the tables are what its records make of them, in their order. */
async function audit({ brokers, databaseUrl, topic, injected }: LiveScene, wanted: boolean) {
  if (brokers === undefined || !wanted) return []
  const records = await topicRecords(brokers.bootstrap, topic)
  return told(await auditLog([databaseUrl], records, injected.records))
}

/** After SIGTERM every process ends well, and the embedded log ends where the checkpoints are. */
export async function stopAll(scene: LiveScene): Promise<string[]> {
  const breaches: string[] = []
  for (const member of scene.members) {
    member.isMeantToRun = false
    const end = await member.program.stop(60_000)
    if (end.code !== 0) breaches.push(`${member.name} did not stop well: ${member.program.story()}`)
  }
  if (scene.log !== 'embedded') return breaches
  const directory = join(scene.dataDirectory, 'log')
  const log = await openEmbeddedLog({ directory, diskBytesMax: 2 ** 32 })
  const ranges = await log.ranges(Array.from({ length: partitionCount }, (_, each) => each))
  await log.close()
  const checkpoints = await readCheckpoints(scene.databaseUrl)
  for (const [partition, { next }] of ranges) {
    const reached = checkpoints.find((row) => row.partition === partition)?.nextOffset ?? 0
    if (reached === next) continue
    breaches.push(`partition ${partition}: the log ends at ${next}, the checkpoint is ${reached}`)
  }
  return breaches
}
