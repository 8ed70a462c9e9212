// The worker role: tables migrated, partitions taken up, records applied, the log released.
// In:  configuration, the log, the databases.
// Out: a running orchestrator; its reasons and its lag.
// Absent: HTTP, signals.

import { randomBytes } from 'node:crypto'
import { hostname } from 'node:os'
import type { Config } from '../config.ts'
import { messageOf, type LedgerError } from '../errors.ts'
import { ensureLeaves } from '../ledger/leaves.ts'
import { migrate } from '../ledger/migrate.ts'
import { createKafkaMembership } from '../log/kafka.ts'
import type { Log, Membership } from '../log/log.ts'
import { staticMembership } from '../log/static-membership.ts'
import type { Logger } from '../observe/logger.ts'
import { withBackoff } from '../postgres/backoff.ts'
import { connect } from '../postgres/connection.ts'
import { partitionCount } from '../record/layout.ts'
import { Chain } from './chain.ts'
import { Orchestrator } from './orchestrator.ts'
import { runUpkeep } from './upkeep.ts'

/** Creates or migrates the tables of every database, waiting for those that are away. */
export async function migrateAll(
  databaseUrls: readonly string[],
  buckets: number,
  logger: Logger,
  signal: AbortSignal,
): Promise<void> {
  for (const [databaseIndex, url] of databaseUrls.entries()) {
    const layout = { buckets, databases: databaseUrls.length, databaseIndex }
    const onRetry = (error: LedgerError, milliseconds: number): void => {
      logger.warn({ reason: messageOf(error), milliseconds }, 'database unavailable, retrying')
    }
    const operation = async (): Promise<void> => {
      const connection = await connect(url, { applicationName: 'ledger migration', signal })
      try {
        await migrate(connection, layout)
        await ensureLeaves(connection, logger)
      } finally {
        await connection.close()
      }
    }
    await withBackoff(operation, { signal, onRetry })
  }
}

/** How long a process that stops adds what it committed to the chains. */
const chainFinishMs = 3000

export interface WorkersOptions {
  config: Config
  log: Log
  databaseUrls: readonly string[]
  logger: Logger
  onCommitted: (partition: number, nextOffset: number) => void
  onFatal: (error: LedgerError) => void
}

export class Workers {
  private readonly options: WorkersOptions
  private readonly orchestrator: Orchestrator
  private readonly stopped = new AbortController()
  private upkeep = Promise.resolve()
  private chain: Chain | undefined
  private started = false

  constructor(options: WorkersOptions) {
    const { config, log, databaseUrls, logger, onCommitted, onFatal } = options
    this.options = options
    this.orchestrator = new Orchestrator({
      log,
      databaseUrls,
      logger,
      onCommitted,
      onFatal,
      membership: this.membership(),
      layout: { workers: config.workers, buckets: config.buckets, databases: databaseUrls.length },
      owner: `${hostname()}:${process.pid}:${randomBytes(4).toString('hex')}`,
      reclaims: config.brokers !== undefined && config.partitions === undefined,
      logLevel: config.logLevel,
      logFormat: config.logFormat,
      crashAt: config.crashAt,
      openLeafRate: config.openLeafRate,
    })
  }

  /** Resolves once the partitions assigned at first are being worked on. */
  async start(signal: AbortSignal): Promise<void> {
    const { config, log, databaseUrls, logger } = this.options
    await migrateAll(databaseUrls, config.buckets, logger, signal)
    await this.orchestrator.start()
    this.started = true
    const partitions = (): number[] => this.orchestrator.partitions
    const lagSeconds = (): number => this.lagSeconds
    const upkeep = { log, databaseUrls, partitions, lagSeconds, logger }
    this.upkeep = runUpkeep(upkeep, this.stopped.signal)
    this.chain = this.startChain()
    await this.orchestrator.settled(signal)
  }

  reasons(): string[] {
    return this.started ? this.orchestrator.reasons() : ['workers wait for their databases']
  }

  get logDoubt(): string | undefined {
    return this.orchestrator.logDoubt
  }

  /** Partitions this process works on. */
  get partitions(): readonly number[] {
    return this.orchestrator.partitions
  }

  get lagRecords(): number {
    return this.orchestrator.lagRecords
  }

  get lagSeconds(): number {
    return this.orchestrator.lagSeconds
  }

  async drain(signal: AbortSignal): Promise<void> {
    if (this.started) await this.orchestrator.drain(signal)
  }

  async stop(signal: AbortSignal): Promise<void> {
    this.stopped.abort()
    await this.upkeep
    if (this.started) await this.orchestrator.stop(signal)
    await this.chain?.finish(signal.aborted ? 0 : chainFinishMs)
  }

  private startChain(): Chain | undefined {
    const { config, databaseUrls, logger } = this.options
    const { chainIntervalMs: intervalMs, logLevel, logFormat } = config
    if (intervalMs === undefined) return undefined
    return new Chain({ databaseUrls, intervalMs, logLevel, logFormat }, logger)
  }

  private membership(): Membership {
    const { config, logger } = this.options
    const { brokers, topic, group, kafkaProperties: properties, partitions } = config
    if (brokers !== undefined && partitions === undefined) {
      return createKafkaMembership({ brokers, topic, group, properties, logger })
    }
    const all = Array.from({ length: partitionCount }, (_, partition) => partition)
    return staticMembership(partitions ?? all)
  }
}
