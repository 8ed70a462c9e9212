// `transaction-ledger verify`: proves that log and tables agree, or says where they do not.
// In:  arguments; the databases and the log, which the program may be using.
// Out: findings on standard output, progress on standard error, the exit code; heads of the chains.
// Absent: what is checked (verify/), changing anything.

import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { maskUrl, type Config } from '../config.ts'
import { LedgerError, messageOf, reactionTo } from '../errors.ts'
import type { LogView } from '../log/embedded-view.ts'
import { openKafkaLog } from '../log/kafka.ts'
import { createLogger, type Logger } from '../observe/logger.ts'
import type { Connection } from '../postgres/connection.ts'
import { readLayout } from '../ledger/migrate.ts'
import { bucketOf } from '../record/partition.ts'
import { bucketsOf } from '../ledger/buckets.ts'
import { configOf } from './arguments.ts'
import { withDatabases } from './databases.ts'
import { Findings } from './verify/findings.ts'
import { againstFindings, readHeadsFile, writeHeads } from './verify/heads.ts'
import { helpText, readOptions, type VerifyOptions } from './verify/options.ts'
import { VerifyProgress } from './verify/progress.ts'
import { readState, removeState, writeState, type VerifyState } from './verify/state.ts'
import { connectToVerify, DatabaseVerifier } from './verify/verifier.ts'

const exitCodes = { agrees: 0, differs: 1, failed: 2, interrupted: 130 }
const stateIntervalMs = 1000
/** Brokers that do not answer for so long are not waited for. */
const logPatienceMs = 30_000

export async function runVerify(argv: readonly string[]): Promise<number> {
  const interrupted = new AbortController()
  const interrupt = (): void => interrupted.abort()
  try {
    const options = readOptions(argv)
    if (options === undefined) {
      process.stdout.write(`${helpText()}\n`)
      return exitCodes.agrees
    }
    const config = configOf(options.argv)
    const logger = createLogger(config.logLevel, config.logFormat)
    process.on('SIGINT', interrupt).on('SIGTERM', interrupt)
    return await withDatabases(config, logger, async (urls) => {
      const log = options.skipsLog ? undefined : await openLog(config, logger)
      try {
        return await verify(options, urls, log, interrupted.signal)
      } finally {
        await log?.close()
      }
    })
  } catch (error) {
    if (reactionTo(error) === undefined) throw error
    process.stderr.write(`${messageOf(error)}\n`)
    return interrupted.signal.aborted ? exitCodes.interrupted : exitCodes.failed
  } finally {
    process.off('SIGINT', interrupt).off('SIGTERM', interrupt)
  }
}

async function openLog(config: Config, logger: Logger): Promise<LogView> {
  const { brokers, topic, group, kafkaProperties: properties } = config
  if (brokers === undefined) {
    const { openEmbeddedView } = await import('../log/embedded-view.ts')
    return openEmbeddedView(join(config.dataDir, 'log'))
  }
  const opening = openKafkaLog({ brokers, topic, group, properties, logger, mustExist: true })
  const late = delay(logPatienceMs, undefined, { ref: false }).then(() => {
    throw new LedgerError('LOG_UNAVAILABLE', `--brokers: no answer of ${brokers} in 30 s.`)
  })
  return Promise.race([opening, late])
}

async function verify(
  options: VerifyOptions,
  urls: readonly string[],
  log: LogView | undefined,
  signal: AbortSignal,
): Promise<number> {
  const earlierHeads = options.againstFiles.map((file) => ({ file, heads: readHeadsFile(file) }))
  const connections: Connection[] = []
  try {
    for (const url of urls) connections.push(await connectToVerify(url))
    for (const connection of connections) await expectAllThere(connection)
    const ledger = await Promise.all(connections.map(originOf))
    const state = readState(options.stateFile, ledger)
    const run = new Run(options, state, signal)
    for (const [index, connection] of connections.entries()) {
      for (const { file, heads } of earlierHeads) await run.against(connection, file, heads)
      await run.database(connection, log, index, connections.length)
      run.say(`${maskUrl(urls[index])}: checked.`)
    }
    return run.conclude()
  } finally {
    for (const connection of connections) await connection.close()
  }
}

/** What is archived is in neither the tables nor, for long, the log; its files prove themselves. */
async function expectAllThere(connection: Connection): Promise<void> {
  const found = await connection.queryOne<{ days: number; first: string; last: string }>(
    `SELECT count(*)::int AS days, min(day)::text AS first, max(day)::text AS last
     FROM ledger.archived_days WHERE archived_at IS NOT NULL`,
  )
  if (found === undefined || found.days === 0) return
  throw new LedgerError(
    'ARCHIVED',
    `${connection.where}: expected every entry in the tables, found those of ${found.days} days ` +
      `of buckets archived (${found.first} to ${found.last}). Restore them, here or in a copy of ` +
      'the database, and verify that.',
  )
}

async function originOf(connection: Connection): Promise<string> {
  const found = await connection.queryOne<{ origin: string }>(
    'SELECT database_index || to_char(created_at, $1) AS origin FROM ledger.layout',
    [' YYYY-MM-DD HH24:MI:SS.US OF'],
  )
  return found?.origin ?? ''
}

/** One run of the command over all databases. */
class Run {
  readonly #options: VerifyOptions
  readonly #state: VerifyState
  readonly #signal: AbortSignal
  readonly #progress: VerifyProgress
  readonly #findings: Findings
  #written = performance.now()

  constructor(options: VerifyOptions, state: VerifyState, signal: AbortSignal) {
    this.#options = options
    this.#state = state
    this.#signal = signal
    this.#progress = new VerifyProgress(process.stderr, state.counts.rows)
    for (const text of state.told) process.stdout.write(`${text}\n`)
    this.#findings = new Findings(state.findings, (text) => {
      this.#progress.clear()
      process.stdout.write(`${text}\n`)
      state.told.push(text)
    })
  }

  say(text: string): void {
    this.#progress.clear()
    process.stderr.write(`${text}\n`)
  }

  async against(
    connection: Connection,
    file: string,
    heads: ReturnType<typeof readHeadsFile>,
  ): Promise<void> {
    const layout = await readLayout(connection)
    const step = `${file} on database ${layout.databaseIndex}`
    if (this.#state.done.includes(step)) return
    const own = new Set(bucketsOf(layout))
    const isHere = (partition: number): boolean => own.has(bucketOf(partition, layout.buckets))
    for (const finding of await againstFindings(connection, file, heads, isHere)) {
      this.#findings.add(file, finding)
    }
    this.#state.done.push(step)
  }

  async database(
    connection: Connection,
    log: LogView | undefined,
    index: number,
    databases: number,
  ): Promise<void> {
    const onProgress = (step: string, share: number, own: number): void => {
      const rows = this.#state.counts.rows + own
      this.#progress.update(step, (index + share) / databases, rows, this.#findings.total)
      if (performance.now() - this.#written > stateIntervalMs) this.#remember()
    }
    const [state, findings, signal] = [this.#state, this.#findings, this.#signal]
    const options = { log, state, findings, signal, onProgress }
    try {
      await (await DatabaseVerifier.open(connection, options)).run()
    } catch (error) {
      this.#progress.clear()
      this.#remember()
      if (!this.#signal.aborted) throw error
      const next = this.#options.stateFile === undefined ? '' : ' The same command goes on there.'
      throw new LedgerError('STOPPING', `Interrupted.${next}`, { cause: error })
    }
  }

  conclude(): number {
    const { counts } = this.#state
    const total = this.#findings.total
    const number = (value: number): string => value.toLocaleString('en-US')
    const { seconds } = this.#progress
    this.say(
      `${number(counts.rows)} rows, ${number(counts.conflicts)} conflicts and ` +
        `${number(counts.logEntries)} entries of the log in ${seconds.toFixed(1)} s.`,
    )
    if (counts.unproven > 0) {
      const why = 'neither in a link nor in the log; they will be in a link within minutes'
      this.say(`${number(counts.unproven)} rows are vouched for by their checkpoints only: ${why}.`)
    }
    for (const [key, count] of this.#findings.counts) this.say(`${key}: ${number(count)}`)
    this.say(total === 0 ? 'All agrees.' : `${number(total)} findings.`)
    removeState(this.#options.stateFile)
    if (total > 0) return exitCodes.differs
    const { headsFile } = this.#options
    if (headsFile !== undefined) writeHeads(headsFile, this.#state.heads)
    return exitCodes.agrees
  }

  #remember(): void {
    this.#written = performance.now()
    this.#state.findings = Object.fromEntries(this.#findings.counts)
    writeState(this.#options.stateFile, this.#state)
  }
}
