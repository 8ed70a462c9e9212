// `transaction-ledger replay`: makes the tables anew from the log, and swaps them in.
// In:  a log that has kept everything, the databases; no worker running.
// Out: tables as workers would write them, in the place of those there were, which are kept.
// Absent: SQL (ledger/replay.ts), applying records (worker/).

import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { maskUrl, type Config } from '../config.ts'
import { LedgerError } from '../errors.ts'
import { invalid } from '../flags.ts'
import {
  archivedEntries,
  dropSchema,
  factsOf,
  kept,
  made,
  schemasOf,
  served,
  swapSchemas,
  workerSessions,
} from '../ledger/replay.ts'
import type { Log } from '../log/log.ts'
import { createLogger, type Logger } from '../observe/logger.ts'
import { connect, type Connection } from '../postgres/connection.ts'
import { urlOfSchema } from '../postgres/schema-name.ts'
import { runCommand, type CommandLine, type CommandSyntax } from './arguments.ts'
import { withDatabases } from './databases.ts'
import { buildTables, prepareTables } from './replay/build.ts'
import { sceneOf, targetsOf, type DatabaseScene } from './replay/scene.ts'
import { rollUpRest } from './roll-up.ts'

const syntax: CommandSyntax = {
  introduction: `transaction-ledger replay: makes the tables anew from the log, in a schema
ledger_replay, by the same workers that write them otherwise; compares them with those there are;
and puts them in their place. No worker may run meanwhile; reads go on. It may be interrupted at
any time: the same command goes on. The log must have kept everything since the ledger began.
What was there before is kept in a schema ledger_before_replay. Grants on the tables have to be
given again.
`,
  own: {
    'accept-differences': {
      help: 'Swap even where the tables that are made differ from those there are.',
    },
    restart: { help: 'Drop what an interrupted replay has made, and begin again.' },
    'drop-old': { help: `Only drop what an earlier replay has kept.` },
  },
  shared: [
    'database-url',
    'data-dir',
    'cache-dir',
    'brokers',
    'topic',
    'group',
    'kafka-properties',
    'buckets',
    'workers',
    'open-leaf-rate',
    'log-disk',
  ],
  exitCodes: '3 the tables differ, and were not swapped',
}

export function runReplay(argv: readonly string[]): Promise<number> {
  return runCommand(syntax, argv, replay)
}

async function replay({ own, config }: CommandLine): Promise<number> {
  const logger = createLogger(config.logLevel, config.logFormat)
  const work = async (urls: readonly string[], log: Log | undefined): Promise<number> => {
    const connections: Connection[] = []
    try {
      for (const url of urls) {
        connections.push(await connectPatiently(url))
      }
      if (log === undefined || own['restart'] === 'true') {
        for (const connection of connections) {
          await dropSchema(connection, log === undefined ? kept : made)
        }
      }
      return log ? await replayAll({ config, logger, log, urls, connections, own }) : 0
    } finally {
      for (const connection of connections) await connection.close()
    }
  }
  if (own['drop-old'] === 'true') {
    return withDatabases(config, logger, (urls) => work(urls, undefined))
  }
  if (config.brokers === undefined && !existsSync(join(config.dataDir, 'log', 'log.mdb'))) {
    invalid('data-dir', 'a directory with an embedded log (or --brokers)', config.dataDir)
  }
  const { openLog } = await import('../program.ts')
  // Its lock keeps the program away from an embedded log.
  const log = await openLog({ ...config, keepsLog: true }, logger)
  try {
    return await withDatabases(config, logger, (urls) => work(urls, log))
  } finally {
    await log.close()
  }
}

interface Task {
  config: Config
  logger: Logger
  log: Log
  urls: readonly string[]
  connections: readonly Connection[]
  own: CommandLine['own']
}

async function replayAll(task: Task): Promise<number> {
  const { config, logger, log, urls, connections, own } = task
  const scenes: DatabaseScene[] = []
  for (const [databaseIndex, connection] of connections.entries()) {
    await expectNoWorkers(connection)
    const layout = { buckets: config.buckets, databases: urls.length, databaseIndex }
    scenes.push(await sceneOf(connection, urls[databaseIndex], layout))
  }
  const targets = await targetsOf(scenes, log)
  const open = scenes.filter(({ isDone }) => !isDone)
  if (open.length === scenes.length) {
    for (const scene of open) await prepareTables(scene, logger)
    await buildTables(open, { config, logger, log, targets })
  } else {
    // All were made before the first was swapped.
    expectMade(scenes, targets)
  }
  for (const { url } of open) await rollUp(urlOfSchema(url, made))
  let differences = 0
  for (const scene of open) differences += await compare(scene)
  if (differences > 0 && own['accept-differences'] !== 'true') {
    say(`${differences} differences; nothing is swapped. --accept-differences swaps all the same.`)
    return 3
  }
  for (const { connection, url, served: before } of open) {
    await swapSchemas(connection, before)
    const old = before === undefined ? '' : `; what was there is in ${kept}, until --drop-old`
    say(`${maskUrl(url)}: swapped in${old}.`)
  }
  return 0
}

/** What was swapped in only some of the databases is to be swapped in the others. */
function expectMade(scenes: readonly DatabaseScene[], targets: ReadonlyMap<number, number>): void {
  const open = scenes.filter(({ isDone }) => !isDone)
  const at = new Map(open.flatMap(({ begun }) => begun).map((one) => [one.partition, one]))
  const isMade = ([partition, target]: [number, number]): boolean =>
    (at.get(partition)?.nextOffset ?? 0) >= target
  if (open.length > 0 && [...targets].every(isMade)) return
  const done = scenes.find(({ isDone }) => isDone)
  throw new LedgerError(
    'LAYOUT_MISMATCH',
    `${done?.connection.where}: expected no schema ${kept}, found one of an earlier replay. ` +
      'Drop it first: replay --drop-old.',
  )
}

const patienceMs = 5000

/** Sessions of a replay that was killed a moment ago end by themselves. */
async function expectNoWorkers(connection: Connection): Promise<void> {
  const deadline = performance.now() + patienceMs
  for (;;) {
    const sessions = await workerSessions(connection)
    if (sessions === 0) return
    if (performance.now() > deadline) {
      throw new LedgerError(
        'FENCED',
        `${connection.where}: expected no worker, found ${sessions} sessions of some. Stop them.`,
      )
    }
    await delay(100)
  }
}

/** Whole tables are read and written in one statement. */
function connectPatiently(url: string): Promise<Connection> {
  return connect(url, { applicationName: 'ledger replay', answerSeconds: 24 * 3600 })
}

async function rollUp(url: string): Promise<void> {
  const connection = await connectPatiently(url)
  try {
    await rollUpRest(connection)
  } finally {
    await connection.close()
  }
}

/** Tells what was made, and returns in how many things it differs from what there is. */
async function compare({ connection, url, served: before }: DatabaseScene): Promise<number> {
  const facts = await factsOf(connection, made)
  const where = maskUrl(url)
  const has = await schemasOf(connection)
  if (before === undefined || !has.has(served)) {
    say(`${where}: ${facts['entries']} entries made; there is nothing to compare them with.`)
    return 0
  }
  const old = await factsOf(connection, served)
  const archived = await archivedEntries(connection)
  if (archived !== '0') {
    say(`${where}: ${archived} entries that are archived or held are in the new tables again.`)
  }
  let differences = 0
  for (const [name, value] of Object.entries(facts)) {
    const isSame = old[name] === value
    if (!isSame) differences += 1
    if (isSame && name.startsWith('content')) continue
    say(`${where}: ${name}: ${isSame ? `${value}, the same` : `${old[name]} is now ${value}`}`)
  }
  return differences
}

function say(line: string): void {
  process.stdout.write(`${line}\n`)
}
