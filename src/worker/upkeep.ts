// What must happen now and then beside the flushes: releasing the log, creating the leaves of days
// to come, having PostgreSQL look at those that grow, and rolling up accounts.
// In:  the databases, the log.
// Out: Log.release with what PostgreSQL has on disk; leaves ahead of time; roll-ups (roller.ts).
// Absent: progress of the flushes; none of this is on their way.

import { setTimeout as delay } from 'node:timers/promises'
import { messageOf } from '../errors.ts'
import { durableCheckpoints } from '../ledger/checkpoint.ts'
import { analyzeGrownLeaves, ensureLeaves, summarizeLeaves } from '../ledger/leaves.ts'
import type { Log } from '../log/log.ts'
import type { Logger } from '../observe/logger.ts'
import { connect, type Connection } from '../postgres/connection.ts'
import { Roller } from './roller.ts'

const releaseIntervalMs = 2000
const leavesIntervalMs = 3_600_000
const summaryIntervalMs = 20_000
const rollIntervalMs = 5000
const rollAnswerSeconds = 3600
/** With a lag like this, roll-ups leave the machine to the flushes. */
const rollLagSecondsMax = 5

export interface UpkeepOptions {
  log: Log
  databaseUrls: readonly string[]
  /** The partitions this process works on, and goes on with. */
  partitions: () => readonly number[]
  /** Age of the oldest record that is not persisted yet. */
  lagSeconds: () => number
  logger: Logger
}

/** Runs until the signal is aborted. Failures are logged and retried: nothing here is urgent. */
export async function runUpkeep(options: UpkeepOptions, signal: AbortSignal): Promise<void> {
  await Promise.all(
    options.databaseUrls.flatMap((url) => [
      keepUp(options, url, signal),
      keepRolledUp(options, url, signal),
    ]),
  )
}

/** On a connection of its own: a roll-up may take long, and the log waits to be released. */
function keepRolledUp(
  { logger, lagSeconds }: UpkeepOptions,
  url: string,
  signal: AbortSignal,
): Promise<void> {
  const isBehind = (): boolean => lagSeconds() > rollLagSecondsMax
  const roller = new Roller({ logger, isBehind, restPerWork: 2, signal })
  const duty = {
    name: 'roll-up',
    answerSeconds: rollAnswerSeconds,
    intervalMs: rollIntervalMs,
    turn: (connection: Connection) => roller.turn(connection),
  }
  return repeat(duty, url, logger, signal)
}

function keepUp(options: UpkeepOptions, url: string, signal: AbortSignal): Promise<void> {
  let leavesDue = 0
  let summaryDue = 0
  const summarized = new Map<string, string>()
  const turn = async (connection: Connection): Promise<void> => {
    if (Date.now() >= leavesDue) {
      await ensureLeaves(connection, options.logger)
      leavesDue = Date.now() + leavesIntervalMs
    }
    if (Date.now() >= summaryDue) {
      await summarizeLeaves(connection, summarized)
      summaryDue = Date.now() + summaryIntervalMs
    }
    await analyzeGrownLeaves(connection)
    await release(options, connection)
  }
  return repeat(
    { name: 'upkeep', intervalMs: releaseIntervalMs, turn },
    url,
    options.logger,
    signal,
  )
}

interface Duty {
  name: string
  /** How long PostgreSQL may take to answer, where that is not as elsewhere. */
  answerSeconds?: number
  intervalMs: number
  turn: (connection: Connection) => Promise<unknown>
}

/** Takes turn after turn, on another connection after one that failed. */
async function repeat(
  { name, answerSeconds, intervalMs, turn }: Duty,
  url: string,
  logger: Logger,
  signal: AbortSignal,
): Promise<void> {
  const limits = answerSeconds === undefined ? {} : { answerSeconds }
  let connection: Connection | undefined
  let failing = false
  while (!signal.aborted) {
    try {
      connection ??= await connect(url, { applicationName: `ledger ${name}`, ...limits, signal })
      await turn(connection)
      failing = false
    } catch (error) {
      if (!failing) logger.warn({ reason: messageOf(error) }, `${name} failed, retrying`)
      failing = true
      await connection?.close().catch(() => undefined)
      connection = undefined
    }
    await delay(intervalMs, undefined, { signal }).catch(() => undefined)
  }
  await connection?.close().catch(() => undefined)
}

async function release({ log, partitions }: UpkeepOptions, connection: Connection): Promise<void> {
  const own = new Set(partitions())
  const durable = await durableCheckpoints(connection)
  // Offsets of another log say nothing about what of this one is applied.
  const positions = durable.filter(
    ({ partition, logIdentity }) => own.has(partition) && logIdentity === log.identity,
  )
  if (positions.length === 0) return
  await log.release(new Map(positions.map((one) => [one.partition, one.nextOffset])))
}
