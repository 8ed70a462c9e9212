// One gauntlet on one log: load, faults by the schedule, checks after each of them and each round.
// In:  a schedule, and the faults it names.
// Out: what happened, and every breach of what was promised.
// Absent: the report; trials (trial.ts).

import assert from 'node:assert/strict'
import { setTimeout as delay } from 'node:timers/promises'
import { openClock } from '../clock.ts'
import type { Fault, Heal, LogKind } from './fault.ts'
import { Memory, type MemberMemory } from './memory.ts'
import { Probe } from './probe.ts'
import { Random } from '../random.ts'
import { Sampler } from './sampler.ts'
import { LiveScene } from './scene.ts'
import { stepLine, type Schedule, type Step } from './schedule.ts'
import { settle, stopAll, type Settled } from './settle.ts'
import { startSteadyLoad } from './load.ts'
import { Tables } from './tables.ts'
import { Timeline } from './timeline.ts'
import { Watch } from './watch.ts'

/** What is promised after each healing. */
const acknowledgingMsMax = 10_000
export const persistingMsMax = 15_000
/** Then there is no use in going on. */
const giveUpMs = 90_000
const warmUpMs = 6_000
/**
 * A shorter run has a short warm-up, in which no process comes to its size; there memory is told,
 * and not judged.
 */
const longMinutes = 5
const longWarmUpMs = 40_000
const outageMs = 4_000

export interface RunOptions {
  schedule: Schedule
  faults: readonly Fault[]
  itemsPerSecond: number
  print: (line: string) => void
}

export interface RunResult {
  log: LogKind
  schedule: Schedule
  timeline: Timeline
  /** What is lost, doubled, invented or otherwise wrong. */
  breaches: readonly string[]
  /** Limits of time and memory that were missed, while everything was right. */
  missed: readonly string[]
  rounds: readonly (Settled & { memory: readonly MemberMemory[] })[]
  /** Faults that could not be had here, and why. */
  left: readonly string[]
  acknowledgedItems: number
  sentItems: number
  answers: Readonly<Record<string, number>>
  seconds: number
}

export async function runGauntlet(options: RunOptions): Promise<RunResult> {
  const timeline = new Timeline(options.print)
  const { log, seed } = options.schedule
  const movesClocks = options.faults.some((fault) => fault.movesClocks === true)
  const clock = movesClocks ? openClock() : 'no clock is moved'
  const isThere = typeof clock !== 'string'
  const scene = await LiveScene.open({ log, seed, timeline, ...(isThere && { clock }) })
  try {
    return await new Run(options, scene).all()
  } finally {
    await scene.close()
    if (isThere) clock.close()
  }
}

class Run {
  readonly #options: RunOptions
  readonly #scene: LiveScene
  readonly #tables: Tables
  readonly #probe: Probe
  readonly #watch: Watch
  readonly #memory = new Memory()
  readonly #sampler: Sampler
  readonly #breaches: string[] = []
  readonly #missed: string[] = []
  readonly #rounds: RunResult['rounds'][number][] = []
  readonly #ignoreTimes: boolean
  readonly #isLong: boolean

  constructor(options: RunOptions, scene: LiveScene) {
    const { seed, minutes } = options.schedule
    this.#isLong = minutes >= longMinutes
    this.#options = options
    this.#scene = scene
    this.#tables = new Tables(scene.databaseUrl)
    this.#probe = new Probe(scene, this.#tables, seed + 1)
    this.#watch = new Watch(scene, this.#tables, seed + 2)
    this.#sampler = new Sampler(scene)
    this.#ignoreTimes = options.faults.some(({ movesClocks }) => movesClocks === true)
  }

  async all(): Promise<RunResult> {
    const { schedule } = this.#options
    const { history, log, timeline } = this.#scene
    const left: string[] = []
    this.#sampler.start()
    try {
      const faults = await this.#available(left)
      await this.#memory.during(this.#scene, this.#warmUp())
      for (const [index, round] of schedule.rounds.entries()) {
        timeline.note(`round ${index + 1} of ${schedule.rounds.length}`)
        await this.#round(round, faults)
      }
      this.#note(await stopAll(this.#scene))
    } catch (error) {
      this.#note([`the run was given up: ${(error as Error).stack ?? String(error)}`])
    } finally {
      await this.#sampler.stop()
      await this.#tables.close()
    }
    return {
      ...{
        log,
        schedule,
        timeline,
        left,
        breaches: this.#breaches,
        missed: this.#missed,
        rounds: this.#rounds,
      },
      acknowledgedItems: this.#sampler.acknowledgedItems(),
      sentItems: history.count,
      answers: history.answers(),
      seconds: timeline.seconds(),
    }
  }

  async #available(left: string[]): Promise<ReadonlyMap<string, Fault>> {
    const available = new Map<string, Fault>()
    for (const fault of this.#options.faults) {
      const reason = await fault.unavailable?.(this.#scene)
      if (reason === undefined) available.set(fault.name, fault)
      else left.push(`${fault.name}: ${reason}`)
    }
    for (const each of left) this.#scene.note(`left out: ${each}`)
    return available
  }

  /** What processes take at this load; an outage fills their queues. */
  async #warmUp(): Promise<void> {
    const load = this.#startLoad()
    await delay(this.#isLong ? longWarmUpMs : warmUpMs)
    const { database } = this.#scene.links
    database.set({ refuses: true })
    database.cut('reset')
    await delay(outageMs)
    database.heal()
    await this.#probe.measure(Date.now(), giveUpMs)
    await load.stop()
    await this.#check(false)
  }

  async #round(
    { steps, lengthMs }: Schedule['rounds'][number],
    faults: ReadonlyMap<string, Fault>,
  ): Promise<void> {
    const until = Date.now() + lengthMs
    const load = this.#startLoad()
    for (const step of steps) {
      if (Date.now() > until) break
      await this.#step(step, faults)
    }
    await load.stop()
    this.#scene.note('the load has stopped')
    const settled = await this.#check(true)
    const { members, breaches } = await this.#memory.look(this.#scene, this.#isLong)
    this.#miss(breaches)
    this.#rounds.push({ ...settled, memory: members })
    // Who is late may be on time again; what is wrong stays wrong.
    const wrong = settled.breaches.length > 0
    if (wrong) throw new Error('what was promised does not hold at the end of a round')
  }

  async #check(auditsLog: boolean): Promise<Settled> {
    const given = { ignoreTimes: this.#ignoreTimes, auditsLog }
    const startedAt = Date.now()
    const settled = await settle(this.#scene, this.#tables, given)
    this.#note(settled.breaches)
    const { rows, conflicts, quarantined, lagMs } = settled
    this.#scene.note(
      `checked ${rows} rows, ${conflicts} conflicts, ${quarantined} in quarantine; lag 0 after ` +
        `${lagMs} ms, checked in ${Date.now() - startedAt} ms`,
    )
    return settled
  }

  async #step(step: Step, available: ReadonlyMap<string, Fault>): Promise<void> {
    const { timeline } = this.#scene
    const faults = step.faults.flatMap((name) => available.get(name) ?? [])
    if (faults.length === 0) return
    await delay(step.pauseMs)
    timeline.note(stepLine(step).trim())
    const struckAt = timeline.seconds()
    const random = new Random(step.seed)
    const heals: Heal[] = []
    for (const fault of faults) heals.push(await fault.inject(this.#scene, random))
    await delay(step.holdMs)
    await healAll(heals)
    const healedAt = Date.now()
    const measured = await this.#probe.measure(healedAt, giveUpMs)
    const { acknowledgedMs, persistedMs } = measured
    const names = faults.map(({ name }) => name)
    timeline.recoveries.push({
      ...{ step: step.number, faults: names, struckAt, healedAt: timeline.seconds(healedAt) },
      ...{ acknowledgedMs, persistedMs },
    })
    timeline.note(`  acknowledging after ${acknowledgedMs} ms, persisting after ${persistedMs} ms`)
    if (persistedMs > persistingMsMax / 2) this.#tellLogs()
    this.#miss(late(step, acknowledgedMs, acknowledgingMsMax, 'acknowledging'))
    this.#miss(late(step, persistedMs, persistingMsMax, 'persisting'))
    const wrong = await this.#watch.look(measured.sentAt)
    this.#note(wrong)
    assert(wrong.length === 0, 'what was promised does not hold')
  }

  /** What the processes said last, where somebody will ask what took so long. */
  #tellLogs(): void {
    for (const { program } of this.#scene.members) this.#scene.note(program.story())
  }

  #startLoad() {
    const { clients, generator, random } = this.#scene
    const { itemsPerSecond } = this.#options
    return startSteadyLoad({ clients, generator, random, itemsPerSecond })
  }

  #miss(limits: readonly string[]): void {
    for (const limit of limits) this.#scene.note(`MISSED ${limit}`)
    this.#missed.push(...limits)
  }

  #note(breaches: readonly string[]): void {
    for (const breach of breaches) this.#scene.note(`BREACH ${breach}`)
    this.#breaches.push(...breaches)
  }
}

/** All at once: one may wait for what another has put to sleep. */
async function healAll(heals: readonly Heal[]): Promise<void> {
  const over = new AbortController()
  const late = delay(giveUpMs, undefined, { signal: over.signal }).then(() => {
    throw new Error(`the faults were not healed within ${giveUpMs} ms`)
  })
  try {
    await Promise.race([Promise.all(heals.map((heal) => heal())), late])
  } finally {
    over.abort()
    late.catch(() => undefined)
  }
}

function late({ number, faults }: Step, tookMs: number, mostMs: number, what: string): string[] {
  if (tookMs <= mostMs) return []
  return [`step ${number}, ${faults.join(' + ')}: ${what} only after ${tookMs} ms, not ${mostMs}`]
}
