// Where a suite runs the program: real servers, a data directory, clients that follow it over
// restarts.
// In:  which log, and whose PostgreSQL.
// Out: programs to start and kill, a load, and the checks that end each phase.
// Absent: what is killed when (the suites).

import assert from 'node:assert/strict'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { Client as Database } from 'pg'
import { openEmbeddedLog } from '../../log/embedded.ts'
import { auditLog } from '../audit.ts'
import { assertClean, check, checkEventually, type CheckReport } from '../checker.ts'
import { countEntries } from '../checker-tables.ts'
import { Client } from '../client.ts'
import { Generator, type LoadShape } from '../generate.ts'
import { temporaryDirectory } from '../guard.ts'
import { History } from '../history.ts'
import { topicEnds, topicRecords } from '../kafka-topic.ts'
import { startTestKafka, type TestKafka } from '../kafka.ts'
import { startLoad, type RunningLoad } from '../load.ts'
import { startTestPostgres, type TestPostgres } from '../postgres.ts'
import { endPostmasters } from '../postmasters.ts'
import { Program, type Launch } from '../program.ts'
import { Random } from '../random.ts'

export type LogKind = 'embedded' | 'kafka'

export interface SettingOptions {
  log: LogKind
  /**
   * How many databases on a PostgreSQL of the tests' own; 0: the program keeps one below its data
   * directory.
   */
  databases: number
  shape: LoadShape
  clients: number
  /** Of a PostgreSQL of the tests' own. */
  settings?: Readonly<Record<string, string>>
  /** From the clone where it is absent. */
  launch?: Launch
}

const topic = 'proof'

/** A server that writes asynchronous commits as late as it may, so that a kill takes many along. */
const forgetful = {
  wal_writer_delay: '10s',
  wal_writer_flush_after: '1GB',
  wal_buffers: '64MB',
}

const defaultSeed = 20_260_101

/** `node SUITE.test.js --seed=N` runs the suite with other chances. */
function seed(): number {
  const given = process.argv.find((word) => word.startsWith('--seed='))
  return given === undefined ? defaultSeed : Number(given.slice('--seed='.length))
}

export class Setting {
  readonly log: LogKind
  readonly history = new History()
  readonly random = new Random(seed())
  readonly generator: Generator
  readonly clients: readonly Client[]
  readonly #directory = temporaryDirectory('proof')
  readonly #programs: Program[] = []
  readonly #taking = new Set<Program>()
  readonly #launch: Launch | undefined
  readonly #postgres: TestPostgres | undefined
  readonly #kafka: TestKafka | undefined
  #databases: readonly string[]

  static async open(options: SettingOptions): Promise<Setting> {
    const [postgres, kafka] = await Promise.all([
      options.databases > 0
        ? startTestPostgres({ settings: { ...forgetful, ...options.settings } })
        : undefined,
      options.log === 'kafka' ? startTestKafka() : undefined,
    ])
    const databases: string[] = []
    if (postgres !== undefined) {
      for (let i = 0; i < options.databases; i++) {
        databases.push(await postgres.createDatabase(`ledger_${i}`))
      }
    }
    return new Setting(options, databases, postgres, kafka)
  }

  private constructor(
    options: SettingOptions,
    databases: readonly string[],
    postgres: TestPostgres | undefined,
    kafka: TestKafka | undefined,
  ) {
    this.log = options.log
    this.#launch = options.launch
    this.#databases = databases
    this.#postgres = postgres
    this.#kafka = kafka
    this.generator = new Generator(this.history, this.random, options.shape)
    this.clients = Array.from({ length: options.clients }, (_, i) => {
      const format = i % 3 === 2 ? 'protobuf' : 'json'
      const targets = (): string[] => this.#targets()
      return new Client({ name: `client ${i}`, history: this.history, targets, format })
    })
    console.log(`seed ${this.random.seed}, ${options.log} log, ${databases.length} databases`)
  }

  get databases(): readonly string[] {
    assert(this.#databases.length > 0, 'the program has not said where its tables are')
    return this.#databases
  }

  get postgres(): TestPostgres {
    assert(this.#postgres !== undefined, 'this setting leaves PostgreSQL to the program')
    return this.#postgres
  }

  get directory(): string {
    return this.#directory.path
  }

  /** Flags that say where log and tables are. */
  get whereabouts(): string[] {
    const flags = ['--data-dir', this.directory]
    if (this.#kafka !== undefined) flags.push('--brokers', this.#kafka.brokers, '--topic', topic)
    if (this.#postgres !== undefined) flags.push('--database-url', this.#databases.join(','))
    return flags
  }

  /** Starts the program. It is sent requests once it is ready, if it takes any. */
  start(...flags: string[]): Program {
    const common = ['--listen', '127.0.0.1:0', '--workers', '2', ...this.whereabouts]
    const program = new Program([...common, ...flags], this.#launch)
    this.#programs.push(program)
    const role = flags[flags.indexOf('--role') + 1] ?? 'all'
    if (!flags.includes('--role') || /all|ingress/.test(role)) this.#taking.add(program)
    return program
  }

  async startReady(...flags: string[]): Promise<Program> {
    const program = await this.start(...flags).ready()
    if (this.#postgres === undefined) this.#databases = [program.databaseUrl]
    return program
  }

  /** A load of moderate pace, so that the tables stay small enough to be compared often. */
  startLoad(): RunningLoad {
    const { clients, generator, random } = this
    return startLoad({ clients, generator, random, abandonShare: 0.3, paceMs: 10 })
  }

  /** What must hold at any instant, whatever has just died. */
  async assertNothingWrong(): Promise<void> {
    const { databases, history } = this
    assertClean(await check({ databases, history, underway: true }))
    this.#assertAnswers()
  }

  /** What must hold once the load has stopped and the workers are through. */
  async assertAllKept(patienceMs = 20_000): Promise<CheckReport> {
    const { databases, history } = this
    const brokers = this.#kafka?.brokers
    const logEnds = brokers === undefined ? undefined : () => topicEnds(brokers, topic)
    const options = { databases, history, patienceMs, ...(logEnds && { logEnds }) }
    const report = await checkEventually(options)
    assertClean(report)
    this.#assertAnswers()
    if (brokers !== undefined) await this.assertAppliedIsCheckpoint()
    return report
  }

  /**
   * SIGTERM, exit code 0, and on the embedded log, which then can be opened, checkpoints exactly at
   * its end.
   */
  async assertStops(program: Program): Promise<void> {
    assert.equal((await program.stop()).code, 0, program.story())
    if (this.log !== 'embedded' || this.#postgres === undefined) return
    const { databases, history, directory } = this
    const log = await openEmbeddedLog({ directory: join(directory, 'log'), diskBytesMax: 2 ** 32 })
    const ranges = await log.ranges(Array.from({ length: 128 }, (_, partition) => partition))
    await log.close()
    const logEnds = new Map([...ranges].map(([partition, { next }]) => [partition, next]))
    assertClean(await check({ databases, history, logEnds }))
  }

  /**
   * The tables must be what the log holds below the checkpoints, no record more or less. While
   * nobody writes them, at any point of progress; only where the log can be read from outside.
   */
  async assertAppliedIsCheckpoint(): Promise<void> {
    if (this.#kafka === undefined) return
    await this.#awaitQuiet()
    assertClean(await auditLog(this.databases, await topicRecords(this.#kafka.brokers, topic)))
  }

  /** Resolves when every database takes connections. */
  async databasesAnswer(timeoutMs = 20_000): Promise<void> {
    const deadline = Date.now() + timeoutMs
    for (;;) {
      try {
        await countEntries(this.databases)
        return
      } catch (error) {
        if (Date.now() > deadline) throw error
        await delay(50)
      }
    }
  }

  async close(): Promise<void> {
    const answers = JSON.stringify(this.history.answers())
    console.log(`sent ${this.history.count} transactions; requests were ${answers}`)
    for (const client of this.clients) client.close()
    for (const program of this.#programs) {
      program.kill('SIGCONT')
      program.kill('SIGKILL')
      await program.exited
    }
    await endPostmasters(this.directory)
    await this.#postgres?.stop()
    await this.#kafka?.destroy()
    this.#directory.remove()
  }

  #targets(): string[] {
    return [...this.#taking].filter((program) => program.isUp).map(({ url }) => url)
  }

  /** Nothing the clients send is malformed, and no answer may contradict itself. */
  #assertAnswers(): void {
    assert.deepEqual(this.history.faults, [])
    assert.equal(this.history.answers().refused, 0)
  }

  /** PostgreSQL takes a moment to notice that a client is gone. */
  async #awaitQuiet(): Promise<void> {
    for (const url of this.databases) {
      const database = new Database(url)
      await database.connect()
      const others = async (): Promise<number> => {
        const result = await database.query<{ count: number }>(
          `SELECT count(*)::int AS count FROM pg_stat_activity
            WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()
              AND (state <> 'idle' OR backend_xid IS NOT NULL)`,
        )
        return result.rows[0]?.count ?? 0
      }
      while ((await others()) > 0) await delay(20)
      await database.end()
    }
  }
}
