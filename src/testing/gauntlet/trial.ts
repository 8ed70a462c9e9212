// A trial: a fault with a scene of its own.
// In:  the trial.
// Out: whether the program did what it must.
// Absent: the trials themselves (trials/).

import { setTimeout as delay } from 'node:timers/promises'
import { Random } from '../random.ts'
import type { LogKind, Trial } from './fault.ts'
import { startSteadyLoad } from './load.ts'
import { LiveScene } from './scene.ts'
import { settle } from './settle.ts'
import { Tables } from './tables.ts'
import { Timeline } from './timeline.ts'

const warmUpMs = 3_000

export interface TrialOptions {
  trial: Trial
  log: LogKind
  seed: number
  itemsPerSecond: number
  print: (line: string) => void
}

export interface TrialResult {
  trial: Trial
  log: LogKind
  timeline: Timeline
  breaches: readonly string[]
  /** Why it could not be had here. */
  left?: string
}

export async function runTrial(options: TrialOptions): Promise<TrialResult> {
  const { trial, log, seed, print } = options
  const timeline = new Timeline(print)
  const result = { trial, log, timeline }
  const left = await trial.unavailable?.()
  if (left !== undefined) return { ...result, left, breaches: [] }
  timeline.note(`trial ${trial.name}: ${trial.what}`)
  const demands = trial.scene ?? {}
  const scene = await LiveScene.open({ log, seed, timeline, demands })
  try {
    const breaches = await under(scene, options)
    for (const breach of breaches) timeline.note(`BREACH ${breach}`)
    return { ...result, breaches }
  } catch (error) {
    const stories = scene.members.map(({ program }) => program.story())
    const breach = [`${trial.name}: ${(error as Error).message}`, ...stories].join('\n')
    timeline.note(`BREACH ${breach}`)
    return { ...result, breaches: [breach] }
  } finally {
    await scene.close()
  }
}

async function under(scene: LiveScene, options: TrialOptions): Promise<readonly string[]> {
  const { trial, seed, itemsPerSecond } = options
  const { clients, generator, random } = scene
  const load = startSteadyLoad({ clients, generator, random, itemsPerSecond })
  const stopped = (): Promise<void> => {
    // Where partitions halt, clients may have nobody left to answer them.
    if (trial.halts) for (const client of clients) client.close()
    return load.stop()
  }
  await delay(warmUpMs)
  await trial.run(scene, new Random(seed)).finally(stopped)
  if (trial.halts) return []
  const tables = new Tables(scene.databaseUrl)
  try {
    const settled = await settle(scene, tables, { ignoreTimes: false, auditsLog: true })
    scene.note(`checked ${settled.rows} rows; lag 0 after ${settled.lagMs} ms`)
    return settled.breaches
  } finally {
    await tables.close()
  }
}
