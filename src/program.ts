// Composes the roles: which parts a process has, in which order they start and stop.
// In:  configuration.
// Out: a running process; how to stop it.
// Absent: argv, signals and exit codes (main.ts).

import { join } from 'node:path'
import { bannerText } from './banner.ts'
import { maskUrl, type Config } from './config.ts'
import { prepareDataDir } from './data-dir.ts'
import { LedgerError, messageOf } from './errors.ts'
import { openapiRoutes } from './openapi/document.ts'
import { assertAddressFree, startHttpServer, type HttpServer } from './http/server.ts'
import { Backlog } from './ingress/backlog.ts'
import { openIngress, type Ingress, type IngressOptions } from './ingress/ingress.ts'
import { openEmbeddedLog } from './log/embedded.ts'
import { openKafkaLog } from './log/kafka.ts'
import type { ReadServersOptions } from './ledger/read-servers.ts'
import type { Log } from './log/log.ts'
import { healthRoutes } from './observe/health.ts'
import type { Logger } from './observe/logger.ts'
import { collectProcessMetrics } from './observe/metrics.ts'
import { startReport } from './observe/report.ts'
import { startEmbeddedPostgres, type EmbeddedPostgres } from './postgres/embedded.ts'
import { openQuery, type Query } from './query/query.ts'
import { keyFoundIn, keyFromText, keyInDirectory } from './receipt/key.ts'
import { createReceipts, type Receipts } from './receipt/receipt.ts'
import { ByteBudget } from './http/budget.ts'
import { partitionCount } from './record/layout.ts'
import { migrateAll, Workers } from './worker/workers.ts'

export interface Program {
  /** Finishes what was taken, within the configured time. Rejects when that was not enough. */
  stop(): Promise<void>
}

/** What a process may be made of; absent parts belong to roles it does not have. */
interface Parts {
  postgres?: EmbeddedPostgres
  log?: Log
  ingress?: Ingress
  query?: Query
  workers?: Workers
  server?: HttpServer
  stopReport?: () => void
}

/**
 * Starts everything the configuration asks for and resolves once it is ready.
 *
 * @param signal aborted when the process is asked to stop while it is still starting
 * @param onFatal told, after the start, of an error that waiting does not cure
 * @throws LedgerError whose reaction is `exit` when waiting would not help
 */
export async function startProgram(
  config: Config,
  logger: Logger,
  signal: AbortSignal,
  onFatal: (error: LedgerError) => void,
): Promise<Program> {
  const parts: Parts = {}
  try {
    await Promise.race([start(config, logger, signal, parts, onFatal), aborted(signal)])
  } catch (error) {
    await stop(config, logger, parts).catch(() => undefined)
    throw error
  }
  return { stop: () => stop(config, logger, parts) }
}

/** Rejects when the signal is aborted: waiting for a broker that is away has no other end. */
function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    signal.addEventListener('abort', () => {
      reject(new LedgerError('STOPPING', 'Stopped while starting.'))
    })
  })
}

async function start(
  config: Config,
  logger: Logger,
  signal: AbortSignal,
  parts: Parts,
  onFatal: (error: LedgerError) => void,
): Promise<void> {
  const wants = (role: 'ingress' | 'worker' | 'query'): boolean => config.roles.has(role)
  const needsLog = (wants('ingress') || wants('worker')) && !config.migrateOnly
  if (!config.migrateOnly) await assertAddressFree(config.listen)
  if (ownsData(config)) prepareDataDir(config.dataDir)
  // The embedded log comes first: its lock keeps a second process away from everything else in the
  // data directory.
  if (needsLog) parts.log = await openLog(config, logger)
  const databaseUrls = await openDatabases(config, logger, parts)
  if (config.migrateOnly) {
    await migrateAll(databaseUrls, config.buckets, logger, signal)
    logger.info({ databases: databaseUrls.map(maskUrl) }, 'migrated')
    await parts.postgres?.stop()
    return
  }
  collectProcessMetrics()
  const { log } = parts
  const budget = new ByteBudget(config.inflightBytesMax)
  const backlog = openBacklog(config, parts)
  // A Kafka log is read by others too, who see for themselves.
  const doubt = (): string | undefined =>
    config.brokers === undefined ? parts.workers?.logDoubt : undefined
  await openHttpRoles(config, parts, { databaseUrls, doubt, budget, backlog, logger })
  const onCommitted = (partition: number, next: number): void => backlog?.advance(partition, next)
  const workers =
    log && wants('worker')
      ? new Workers({ config, log, databaseUrls, logger, onCommitted, onFatal })
      : undefined
  if (workers) parts.workers = workers
  parts.server = await serve(config, logger, parts, budget)
  await workers?.start(signal)
  const lag = workers && (() => ({ records: workers.lagRecords, seconds: workers.lagSeconds }))
  parts.stopReport = await startReport({ logger, lag })
  announce(config, logger, parts)
}

/** The roles that answer requests, as far as this process has them. */
async function openHttpRoles(
  config: Config,
  parts: Parts,
  given: Pick<IngressOptions, 'doubt' | 'budget' | 'backlog' | 'logger'> & {
    databaseUrls: readonly string[]
  },
): Promise<void> {
  const { roles } = config
  const { databaseUrls, budget, logger } = given
  const receipts = await openReceipts(config, logger)
  // Without the query role it is for those who wait at ingress, if there is a database to look at.
  if (roles.has('query') || (roles.has('ingress') && databaseUrls.length > 0)) {
    const servers = queryOptions(config, databaseUrls, logger)
    parts.query = openQuery({ ...servers, receipts, budget })
  }
  const { log, query } = parts
  if (log && receipts && roles.has('ingress')) {
    const settlement = query?.settlement
    parts.ingress = openIngress({ ...config, ...given, log, receipts, settlement })
  }
}

/** Whether there may be files of this process in its data directory: not where it only reads. */
function ownsData({ brokers, databaseUrls, roles, migrateOnly }: Config): boolean {
  const onlyReads = roles.size === 1 && roles.has('query') && !migrateOnly
  return !onlyReads && (brokers === undefined || databaseUrls.length === 0)
}

function queryOptions(
  config: Config,
  databaseUrls: readonly string[],
  logger: Logger,
): ReadServersOptions {
  return {
    databaseUrls,
    replicaUrls: config.readUrls,
    buckets: config.buckets,
    replicaLagSecondsMax: config.replicaLagSeconds,
    connectionsMax: config.queryConnections,
    statementSeconds: config.queryTimeoutSeconds,
    logger,
  }
}

/** The HTTP server, with the routes of the parts that there are. */
function serve(
  config: Config,
  logger: Logger,
  parts: Parts,
  budget: ByteBudget,
): Promise<HttpServer> {
  const { log, workers, ingress } = parts
  const query = config.roles.has('query') ? parts.query : undefined
  const probes = [
    () => log?.unavailable(),
    () => workers?.reasons().join('; ') || undefined,
    // Where there are workers, they say the same of the same databases.
    () => (workers && config.readUrls.length === 0 ? undefined : query?.unavailable()),
  ]
  return startHttpServer({
    listen: config.listen,
    routes: [
      ...healthRoutes(probes, () => query?.remarks() ?? []),
      ...openapiRoutes,
      ...(ingress?.routes ?? []),
      ...(query?.routes ?? []),
    ],
    limits: {
      bodyBytesMax: config.bodyBytesMax,
      bodyDeadlineMs: config.requestTimeoutMs,
    },
    sharesBodies: config.decodeThreads > 0,
    budget,
    logger,
  })
}

/** Where workers share the process; on Kafka others may be persisting part of what it takes. */
function openBacklog(config: Config, parts: Parts): Backlog | undefined {
  if (!config.roles.has('ingress') || !config.roles.has('worker')) return undefined
  if (config.brokers === undefined) return new Backlog(config.backlogBytesMax)
  return new Backlog(config.backlogBytesMax, () => parts.workers?.partitions ?? [])
}

/**
 * Whoever gives receipts out makes a key where there is none; whoever only reads them does not,
 * since nobody else would have it.
 */
async function openReceipts(config: Config, logger: Logger): Promise<Receipts | undefined> {
  if (config.receiptKey !== undefined) return createReceipts(keyFromText(config.receiptKey))
  if (config.roles.has('ingress')) return createReceipts(await keyInDirectory(config.dataDir))
  if (!config.roles.has('query')) return undefined
  const key = await keyFoundIn(config.dataDir)
  if (key !== undefined) return createReceipts(key)
  const advice = 'give --receipt-key, the same as on every ingress'
  logger.warn({ advice }, 'no receipt key: receipts cannot be asked about here')
  return undefined
}

export function openLog(config: Config, logger: Logger): Promise<Log> {
  if (config.brokers === undefined) {
    return openEmbeddedLog({
      directory: join(config.dataDir, 'log'),
      partitions: partitionCount,
      diskBytesMax: config.logDiskBytes,
      keepsAll: config.keepsLog,
      logger,
    })
  }
  const { brokers, topic, group, kafkaProperties: properties } = config
  return openKafkaLog({ brokers, topic, group, properties, logger })
}

/** The databases, the embedded one started first where none is given. */
async function openDatabases(
  config: Config,
  logger: Logger,
  parts: Parts,
): Promise<readonly string[]> {
  const readsPrimary = config.roles.has('query') && config.readUrls.length === 0
  const needsDatabase = config.roles.has('worker') || readsPrimary || config.migrateOnly
  if (config.databaseUrls.length > 0 || !needsDatabase) return config.databaseUrls
  const directory = join(config.dataDir, 'postgres')
  parts.postgres = await startEmbeddedPostgres({ directory, logger })
  return [parts.postgres.url]
}

function announce(config: Config, logger: Logger, parts: Parts): void {
  const { server, postgres } = parts
  if (!server) return
  const keepsData = postgres !== undefined || (config.brokers === undefined && ownsData(config))
  logger.info(
    {
      listen: server.address,
      ...(keepsData ? { dataDir: config.dataDir } : {}),
      // The embedded server listens on loopback only, and its password is in the data directory.
      databaseUrl: postgres?.url ?? config.databaseUrls.map(maskUrl).join(','),
      ...(postgres ? { postgresPid: postgres.pid } : {}),
    },
    'ready',
  )
  // Whoever asks for JSON lines gets nothing else.
  if (config.logFormat === 'json') return
  const place = {
    listen: server.address,
    postsBatches: parts.ingress !== undefined,
    readsAccounts: config.roles.has('query'),
    dataDir: keepsData ? config.dataDir : undefined,
    databaseUrl: postgres?.url,
  }
  process.stdout.write(`${bannerText(place)}\n`)
}

/**
 * Upstream first: no new request, then nothing unanswered, then nothing unapplied, then the log and
 * the database. What is in the embedded log is applied as far as the time allows, since nobody else
 * can; what is in Kafka, others go on with.
 */
async function stop(config: Config, logger: Logger, parts: Parts): Promise<void> {
  const signal = AbortSignal.timeout(config.shutdownTimeoutMs * 0.9)
  const { server, ingress, query, workers, log, postgres } = parts
  parts.stopReport?.()
  server?.stopListening()
  query?.endWaits()
  await ingress?.stop()
  await server?.close(signal)
  if (workers) {
    if (config.brokers === undefined) await workers.drain(signal)
    await workers.stop(signal)
  }
  await query?.close()
  await log?.close().catch((error: unknown) => {
    logger.error({ reason: messageOf(error) }, 'log did not close cleanly')
  })
  await postgres?.stop()
  if (signal.aborted) logger.warn('not everything was applied in time; the log keeps it')
}
