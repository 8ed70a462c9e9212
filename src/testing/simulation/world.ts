// One simulated run: what there is, what goes wrong when, and what must hold.
// In:  a seed, the program.
// Out: what was found wrong, if anything; figures; the trace of what happened.
// Absent: real time and real chance: a seed is all that tells one run from another.

import { Random } from '../random.ts'
import { Database } from './database/database.ts'
import type { Change } from './database/tables.ts'
import type { SimulatedClient } from './database/client.ts'
import { faults, losses, type FaultName } from './faults.ts'
import { Group } from './group.ts'
import { History, type Violation } from './history.ts'
import { Load } from './load.ts'
import { SimulatedProcess } from './process.ts'
import type { Product } from './product.ts'
import { Scheduler, type Life } from './scheduler.ts'
import { Topic } from './topic.ts'

export interface Setting {
  /** One process and a log that is trimmed; else a group and a log that is kept. */
  isEmbedded: boolean
  buckets: number
  workers: number
  processes: number
  /** How long things go wrong. */
  faultyMs: number
}

export interface Outcome {
  seed: number
  violation: Violation | undefined
  trace: readonly string[]
  /** What went wrong, in the order in which it did. */
  faults: readonly FaultName[]
  commits: number
  applied: number
  acknowledged: number
  simulatedMs: number
}

/** After the last fault, everything must be applied within this time. */
const healingMostMs = 60_000
const stopMostMs = 10_000

export class World {
  readonly scheduler = new Scheduler()
  readonly random: Random
  readonly setting: Setting
  readonly product: Product
  readonly topic: Topic
  readonly database: Database
  readonly group: Group
  readonly history: History
  /** Those that have not ended. */
  processes: SimulatedProcess[] = []
  readonly clients = new Set<SimulatedClient>()
  readonly trace: (text: () => string) => void
  private readonly isTraced: boolean
  readonly load: Load
  private readonly lines: string[] = []
  private readonly happened: FaultName[] = []
  private processesBegun = 0
  /** Nothing goes wrong any more. */
  isHealed = false
  private isEnding = false
  private isOver = false

  constructor(seed: number, product: Product, isTraced: boolean) {
    const random = new Random(seed)
    this.random = random
    this.product = product
    this.isTraced = isTraced
    this.trace = isTraced
      ? (text) => this.lines.push(`${this.scheduler.now.toFixed(2).padStart(9)} ${text()}`)
      : () => undefined
    this.setting = settingOf(random)
    this.topic = new Topic(random)
    this.history = new History(this.topic)
    this.group = new Group(this.scheduler, random, this.trace)
    this.database = new Database({
      scheduler: this.scheduler,
      random,
      buckets: this.setting.buckets,
      trace: this.trace,
      onCommit: (peer, changes, before) => {
        this.traceCommit(peer.name, changes)
        this.history.committed(peer, changes, before)
      },
    })
    this.load = new Load(this)
  }

  async run(): Promise<Outcome> {
    const { setting, history, scheduler } = this
    const fail = (error: unknown): void => {
      history.violated('bug', error instanceof Error ? (error.stack ?? '') : String(error))
    }
    process.on('unhandledRejection', fail)
    const { stackTraceLimit } = Error
    // Nobody reads them, and they take a tenth of the time.
    if (!this.isTraced) Error.stackTraceLimit = 0
    for (let i = 0; i < setting.processes; i++) this.start()
    this.plan()
    scheduler.after(setting.faultyMs, undefined, () => this.heal())
    try {
      await scheduler.run(() => this.isOver || history.violation !== undefined)
    } catch (error) {
      fail(error)
    } finally {
      process.off('unhandledRejection', fail)
      Error.stackTraceLimit = stackTraceLimit
    }
    const { violation, commits, applied, acknowledged } = history
    if (violation) this.trace(() => `${violation.kind}: ${violation.message}`)
    return {
      ...{ seed: this.random.seed, violation, commits, applied, acknowledged },
      trace: this.lines,
      faults: this.happened,
      simulatedMs: scheduler.now,
    }
  }

  start(): void {
    const name = `process ${++this.processesBegun}`
    this.trace(() => `${name} begins`)
    this.processes.push(new SimulatedProcess(this, name))
  }

  startLater(): void {
    this.scheduler.after(1500 * this.random.fraction(), undefined, () => {
      if (!this.isEnding && this.processes.length < this.setting.processes) this.start()
    })
  }

  startDatabaseLater(): void {
    this.scheduler.after(1000 * this.random.fraction(), undefined, () => this.database.start())
  }

  /** A process is no more. */
  forget(process: SimulatedProcess, isSilent: boolean): void {
    this.trace(() => `${process.name} is no more`)
    this.processes = this.processes.filter((one) => one !== process)
    for (const client of [...this.clients]) {
      if (client.side.peer === process) client.vanish(isSilent)
    }
    const wait = 100 + 1000 * this.random.fraction()
    this.scheduler.after(wait, undefined, () => void this.group.remove(process))
  }

  /** A thread is no more. */
  disconnect(life: Life): void {
    for (const client of [...this.clients]) {
      if (client.side.life === life) client.vanish(false)
    }
  }

  private plan(): void {
    const { random, scheduler, setting } = this
    const at = (run: () => void): void => {
      scheduler.after(setting.faultyMs * random.fraction(), undefined, run)
    }
    const names = Object.keys(faults) as (keyof typeof faults)[]
    for (let i = random.between(1, 8); i > 0; i--) {
      const name = random.pick(names)
      at(() => this.fault(name, () => faults[name](this)))
    }
    if (random.chance(0.12)) {
      const name = random.pick(Object.keys(losses) as (keyof typeof losses)[])
      at(() => this.fault(name, () => losses[name](this)))
    }
    for (let i = random.between(2, 6); i > 0; i--) at(() => this.load.burst())
    const strange = random.chance(0.3) ? random.between(1, 3) : 0
    for (let i = strange; i > 0; i--) at(() => this.load.strangeRecord())
  }

  private fault(name: FaultName, run: () => void): void {
    this.trace(() => `fault: ${name}`)
    this.happened.push(name)
    run()
  }

  private heal(): void {
    const { setting, topic, database, scheduler } = this
    this.trace(() => 'no more faults')
    this.isHealed = true
    topic.outage = undefined
    database.start()
    for (const process of this.processes) process.clockErrorMs = 0
    // Of two that were given the same, the one that lost it waits for an operator.
    if (setting.isEmbedded) for (const process of [...this.processes]) process.kill(false)
    while (this.processes.length < setting.processes) this.start()
    this.look(scheduler.now + healingMostMs)
  }

  /** Looks now and then whether all is done. */
  private look(latest: number): void {
    const { history, database, scheduler, load } = this
    const reasons = this.processes.flatMap((process) => process.reasons)
    const unfinished = history.unfinished(database.visible, reasons)
    if (unfinished === undefined && !load.isWaiting) this.end()
    else if (scheduler.now < latest) scheduler.after(50, undefined, () => this.look(latest))
    else history.violated('stuck', unfinished ?? 'requests are not answered')
  }

  /** Now and then the processes must be able to stop, too. */
  private end(): void {
    if (!this.random.chance(0.2)) {
      this.isOver = true
      return
    }
    this.isEnding = true
    for (const process of this.processes) if (!process.isStopping) process.stop(() => undefined)
    this.awaitStop(this.scheduler.now + stopMostMs)
  }

  private awaitStop(latest: number): void {
    const { scheduler, history } = this
    if (this.processes.length === 0) this.isOver = true
    else if (scheduler.now < latest) scheduler.after(50, undefined, () => this.awaitStop(latest))
    else history.violated('stuck', 'a process does not stop')
  }

  private traceCommit(name: string, changes: readonly Change[]): void {
    this.trace(() => `${name} commits ${changes.map(describe).join(', ')}`)
  }
}

function settingOf(random: Random): Setting {
  const isEmbedded = random.chance(0.3)
  return {
    isEmbedded,
    buckets: random.pick([1, 2, 4]),
    workers: random.pick([1, 1, 2]),
    processes: isEmbedded ? 1 : random.pick([1, 2, 2, 3]),
    faultyMs: random.between(600, 3000),
  }
}

function describe(change: Change): string {
  switch (change.table) {
    case 'checkpoints': {
      const { partition, nextOffset, epoch } = change.row
      return `${change.cause} partition ${partition} at ${nextOffset} epoch ${epoch}`
    }
    case 'transactions':
      return `row ${Buffer.from(change.key.slice(26), 'latin1').toString('hex')}`
    case 'conflicts':
      return `conflict ${Buffer.from(change.key.slice(26), 'latin1').toString('hex')}`
    case 'quarantine':
      return `quarantine ${change.at}`
    case 'none':
      return 'a message'
  }
}
