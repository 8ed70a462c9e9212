// Makes tables from the log, by the very workers that made those that are served.
// In:  databases under the name of another schema, a log that ends where the replay does.
// Out: tables that are as far as that; text on standard error meanwhile.
// Absent: comparing, swapping.

import { setTimeout as delay } from 'node:timers/promises'
import type { Config } from '../../config.ts'
import { LedgerError } from '../../errors.ts'
import { ensureLeaves } from '../../ledger/leaves.ts'
import { migrate } from '../../ledger/migrate.ts'
import { made, positionsOf } from '../../ledger/replay.ts'
import { boundedLog } from '../../log/bounded.ts'
import type { Log } from '../../log/log.ts'
import { staticMembership } from '../../log/static-membership.ts'
import type { Logger } from '../../observe/logger.ts'
import { connect } from '../../postgres/connection.ts'
import { urlOfSchema } from '../../postgres/schema-name.ts'
import { Orchestrator } from '../../worker/orchestrator.ts'
import { runUpkeep } from '../../worker/upkeep.ts'
import type { DatabaseScene } from './scene.ts'

const lookIntervalMs = 250
const lineIntervalMs = 5000
const stopSeconds = 600

export interface BuildOptions {
  config: Config
  logger: Logger
  log: Log
  targets: ReadonlyMap<number, number>
}

/** Creates what is missing of the tables, with leaves for the days that there will be. */
export async function prepareTables(
  { url, layout, days }: DatabaseScene,
  logger: Logger,
): Promise<void> {
  const connection = await connect(urlOfSchema(url, made), { applicationName: 'ledger replay' })
  try {
    await migrate(connection, layout)
    await ensureLeaves(connection, logger)
    if (days !== undefined) await ensureLeaves(connection, logger, days)
  } finally {
    await connection.close()
  }
}

/** Resolves once every partition is applied up to its target. */
export async function buildTables(
  scenes: readonly DatabaseScene[],
  { config, logger, log, targets }: BuildOptions,
): Promise<void> {
  const bounded = boundedLog(log, targets)
  const urls = scenes.map(({ url }) => urlOfSchema(url, made))
  const { buckets, databases } = scenes[0].layout
  let fail: (error: LedgerError) => void = () => undefined
  const failed = new Promise<never>((_, reject) => {
    fail = reject
  })
  const ended = new AbortController()
  const orchestrator = new Orchestrator({
    log: bounded,
    databaseUrls: urls,
    logger,
    onCommitted: () => undefined,
    onFatal: (error) => {
      fail(error)
    },
    membership: staticMembership([...targets.keys()]),
    layout: { workers: Math.max(config.workers, databases), buckets, databases },
    owner: `replay ${process.pid}`,
    reclaims: false,
    logLevel: config.logLevel,
    logFormat: config.logFormat,
    crashAt: config.crashAt,
    openLeafRate: config.openLeafRate,
  })
  const upkeep = runUpkeep(
    { log: bounded, databaseUrls: urls, partitions: () => [], lagSeconds: () => Infinity, logger },
    ended.signal,
  )
  try {
    await orchestrator.start()
    await Promise.race([failed, finished(scenes, targets, orchestrator, ended.signal)])
  } finally {
    ended.abort()
    await orchestrator.stop(AbortSignal.timeout(stopSeconds * 1000))
    await upkeep
  }
}

async function finished(
  scenes: readonly DatabaseScene[],
  targets: ReadonlyMap<number, number>,
  orchestrator: Orchestrator,
  signal: AbortSignal,
): Promise<void> {
  const progress = new Progress([...targets.values()].reduce((sum, target) => sum + target, 0))
  while (!signal.aborted) {
    const found = await Promise.all(scenes.map(({ connection }) => positionsOf(connection, made)))
    const at = new Map(found.flat().map((one) => [one.partition, one.nextOffset]))
    const isThere = [...targets].every(([partition, target]) => (at.get(partition) ?? 0) >= target)
    progress.show(
      [...at.values()].reduce((sum, offset) => sum + offset, 0),
      isThere,
    )
    if (isThere) return
    const halted = orchestrator.reasons().find((reason) => reason.includes('is halted'))
    if (halted !== undefined) throw new LedgerError('FENCED', `The replay cannot go on: ${halted}.`)
    await delay(lookIntervalMs, undefined, { signal }).catch(() => undefined)
  }
}

/** A line now and then. */
class Progress {
  readonly #total: number
  #first: number | undefined
  #started = performance.now()
  #shown = -Infinity

  constructor(total: number) {
    this.#total = total
  }

  show(done: number, isLast: boolean): void {
    const now = performance.now()
    if (this.#first === undefined) this.#started = now
    this.#first ??= done
    if (now - this.#shown < lineIntervalMs && !isLast) return
    this.#shown = now
    const share = this.#total === 0 ? 100 : (100 * done) / this.#total
    const rate = Math.round((1000 * (done - this.#first)) / Math.max(1, now - this.#started))
    process.stderr.write(
      `${done} of ${this.#total} records replayed (${share.toFixed(1)}%), ${rate} a second\n`,
    )
  }
}
