// One simulated process with the roles ingress and worker, put together as program.ts does.
// In:  the program's parts, a log, a database, a membership.
// Out: a process that takes requests, can be killed, stands still, stops and has a clock.
// Absent: HTTP; when any of this happens (faults.ts).

import type { LogFormat, Logger } from '../../observe/logger.ts'
import { quietLogger, type Surroundings } from './environment.ts'
import { everything } from './group.ts'
import { SimulatedLog } from './log.ts'
import type { Product } from './product.ts'
import type { Life } from './scheduler.ts'
import type { SimulatedWorker } from './threads.ts'
import type { World } from './world.ts'

const url = 'postgresql://ledger:secret@simulated/ledger'
const stopMostMs = 3000
/** Less than a few requests together: so some are refused. */
const budgetBytes = 20 * 47
const backlogBytes = 8 * 47

/** What a process has once it runs. */
interface Running {
  log: SimulatedLog
  appender: InstanceType<Product['Appender']>
  orchestrator: InstanceType<Product['Orchestrator']>
  upkeep: Promise<void>
}

export class SimulatedProcess implements Life {
  readonly name: string
  /** As it stands in ledger.checkpoints. */
  readonly owner: string
  readonly logIdentity: string
  readonly surroundings: Surroundings
  readonly threads = new Set<SimulatedWorker>()
  ended = false
  pausedUntil = 0
  clockErrorMs = 0
  isStopping = false
  private readonly world: World
  private readonly upkeepStopped = new AbortController()
  private running: Running | undefined

  constructor(world: World, name: string) {
    this.world = world
    this.name = name
    this.owner = `owner of ${name}`
    this.logIdentity = world.topic.identity
    const { scheduler, random, product } = world
    this.surroundings = {
      ...{ scheduler, random, life: this, network: world },
      clockErrorMs: () => this.clockErrorMs,
      side: { life: this, peer: this },
      threads: {
        life: this,
        running: this.threads,
        evaluate: (threadModule) => product.runThread(threadModule),
        onEnd: (life) => world.disconnect(life),
      },
    }
    scheduler.after(0, this, () => (this.running = this.begin()))
  }

  /** What ingress has here; undefined while it takes no requests, as its routes would say. */
  get ingress(): Pick<Running, 'appender' | 'log'> | undefined {
    const { running } = this
    if (this.ended || this.isStopping || running === undefined) return undefined
    return running.orchestrator.logDoubt === undefined ? running : undefined
  }

  /** What keeps this process from persisting. */
  get reasons(): readonly string[] {
    return this.running?.orchestrator.reasons() ?? ['begins']
  }

  /** `isSilent`: nobody is told, as when a machine loses its power. */
  kill(isSilent: boolean): void {
    this.ended = true
    this.world.forget(this, isSilent)
  }

  /** As at SIGTERM. */
  stop(then: () => void): void {
    this.isStopping = true
    this.world.scheduler.after(0, this, () => void this.stopRunning().then(then))
  }

  private async stopRunning(): Promise<void> {
    const { scheduler, setting } = this.world
    const tooLate = new AbortController()
    scheduler.after(stopMostMs, this, () => tooLate.abort())
    if (this.running) {
      const { appender, orchestrator, upkeep } = this.running
      await appender.stop()
      if (setting.isEmbedded) await orchestrator.drain(tooLate.signal)
      this.upkeepStopped.abort()
      await upkeep
      await orchestrator.stop(tooLate.signal)
    }
    this.kill(false)
  }

  private begin(): Running {
    const { product, history, setting } = this.world
    const log = this.openLog()
    const findOurs = setting.isEmbedded ? undefined : () => orchestrator.partitions
    const backlog = new product.Backlog(backlogBytes, findOurs)
    const budget = new product.ByteBudget(budgetBytes)
    const appender = new product.Appender({ log, lingerMs: 5, budget, backlog })
    const orchestrator = this.orchestrate(log, (partition, nextOffset) => {
      history.told(this.name, partition, nextOffset)
      backlog.advance(partition, nextOffset)
    })
    void orchestrator.start()
    const upkeep = product.runUpkeep(
      {
        log,
        databaseUrls: [url],
        partitions: () => orchestrator.partitions,
        // So far behind that roll-ups rest: they are none of what is simulated.
        lagSeconds: () => Infinity,
        logger: quietLogger as unknown as Logger,
      },
      this.upkeepStopped.signal,
    )
    return { log, appender, orchestrator, upkeep }
  }

  private openLog(): SimulatedLog {
    const { scheduler, random, history, topic, database, setting, product } = this.world
    return new SimulatedLog({
      ...{ scheduler, random, topic, identity: this.logIdentity, life: this },
      violated: (kind, message) => history.violated(kind, message),
      errorClass: product.LedgerError,
      trims: setting.isEmbedded,
      onRelease: (positions) => history.released(positions, database.everDurable),
    })
  }

  private orchestrate(
    log: SimulatedLog,
    onCommitted: (partition: number, nextOffset: number) => void,
  ): Running['orchestrator'] {
    const { product, setting, group, history } = this.world
    const { buckets, workers, isEmbedded } = setting
    const plain = { logLevel: 'silent', logFormat: 'json' as LogFormat, crashAt: undefined }
    return new product.Orchestrator({
      ...plain,
      log,
      membership: isEmbedded ? everything() : group.membership(this),
      databaseUrls: [url],
      layout: { workers, buckets, databases: 1 },
      owner: this.owner,
      reclaims: !isEmbedded,
      logger: quietLogger as unknown as Logger,
      openLeafRate: Infinity,
      onCommitted,
      onFatal: (error) => history.violated('bug', `${this.name} ends: ${error.message}`),
    })
  }
}
