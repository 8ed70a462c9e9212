// Everything a gauntlet runs on: PostgreSQL, the log, the processes of the program, proxies between
// them, clients.
// In:  which log.
// Out: a running scene, to be hurt and at last closed.
// Absent: faults, checks.

import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { freePort } from '../../postgres/cluster.ts'
import { Client } from '../client.ts'
import type { MovableClock } from '../clock.ts'
import { Generator, confusedShape, type LoadShape } from '../generate.ts'
import { temporaryDirectory } from '../guard.ts'
import { History } from '../history.ts'
import { startTestPostgres, type TestPostgres } from '../postgres.ts'
import { programCommand, type Launch } from '../program.ts'
import { Proxy } from '../proxy/proxy.ts'
import { Random } from '../random.ts'
import { startBrokers } from './cluster.ts'
import type { Brokers, LogKind, MemberRole, Scene, SceneDemands } from './fault.ts'
import { Injected } from './injected.ts'
import { LiveMember } from './member.ts'
import type { Timeline } from './timeline.ts'

export interface SceneOptions {
  log: LogKind
  seed: number
  timeline: Timeline
  demands?: SceneDemands
  /** With the clock that every process of the program goes by, where it can be moved. */
  clock?: MovableClock
}

const clientCount = 8
/** Few repeats: a bucket with one in a flush goes the slow way, and not all shall. */
const shape: LoadShape = {
  ...confusedShape,
  batchItems: [1, 20, 200, 2000],
  repeatShare: 0.004,
  rivalShare: 0.004,
}

/**
 * Asynchronous commits are written as late as may be, so that a kill takes many along; and recovery
 * after it is short.
 */
const settings = {
  wal_writer_delay: '10s',
  wal_writer_flush_after: '1GB',
  wal_buffers: '64MB',
  max_wal_size: '256MB',
  max_connections: '100',
  shared_buffers: '256MB',
}

const roles: Readonly<Record<LogKind, readonly MemberRole[]>> = {
  embedded: ['all'],
  kafka: ['ingress', 'ingress', 'worker', 'worker'],
}

export class LiveScene implements Scene {
  readonly log: LogKind
  readonly topic = 'gauntlet'
  readonly group = 'gauntlet'
  readonly history = new History()
  readonly injected = new Injected()
  readonly random: Random
  readonly generator: Generator
  readonly clients: readonly Client[]
  readonly members: LiveMember[] = []
  readonly dataDirectory: string
  readonly postgres: TestPostgres
  readonly databaseUrl: string
  readonly links: { clients: Proxy[]; database: Proxy }
  readonly brokers?: Brokers
  readonly clock?: MovableClock
  readonly timeline: Timeline
  readonly #directory: { path: string; remove(): void }
  readonly #flags: readonly string[]
  readonly #launch: Launch | undefined

  static async open(options: SceneOptions): Promise<LiveScene> {
    const { demands = {} } = options
    const [postgres, brokers] = await Promise.all([
      startTestPostgres({
        settings,
        ...(demands.postgresDirectory !== undefined && { parent: demands.postgresDirectory }),
      }),
      options.log === 'kafka' ? startBrokers(demands.brokerProperties) : undefined,
    ])
    const databaseUrl = await postgres.createDatabase('ledger')
    const database = await Proxy.start({
      port: Number(new URL(databaseUrl).port),
      isPostgres: true,
    })
    const scene = new LiveScene(options, { postgres, brokers, databaseUrl, database })
    await scene.#startMembers()
    return scene
  }

  private constructor(
    options: SceneOptions,
    servers: {
      postgres: TestPostgres
      brokers: Brokers | undefined
      databaseUrl: string
      database: Proxy
    },
  ) {
    const { log, seed, timeline, demands = {}, clock } = options
    this.log = log
    this.timeline = timeline
    this.random = new Random(seed)
    this.generator = new Generator(this.history, this.random, shape)
    this.#directory = temporaryDirectory('gauntlet')
    this.dataDirectory = demands.dataDirectory ?? join(this.#directory.path, 'data')
    this.postgres = servers.postgres
    this.databaseUrl = servers.databaseUrl
    this.links = { clients: [], database: servers.database }
    if (servers.brokers !== undefined) this.brokers = servers.brokers
    if (clock !== undefined) this.clock = clock
    if (clock !== undefined) this.#launch = { command: [...clock.prefix, ...programCommand] }
    this.#flags = demands.flags ?? []
    this.clients = Array.from({ length: clientCount }, (_, i) => {
      const format = i % 3 === 2 ? 'protobuf' : 'json'
      const targets = (): readonly string[] => this.targets()
      return new Client({ name: `client ${i}`, history: this.history, targets, format })
    })
  }

  targets(): readonly string[] {
    return this.links.clients.map(({ address }) => `http://${address}`)
  }

  note(text: string): void {
    this.timeline.note(text)
  }

  /** Those of a role, or all. */
  membersOf(...wanted: readonly MemberRole[]): readonly LiveMember[] {
    return this.members.filter(({ role }) => wanted.includes(role))
  }

  async close(): Promise<void> {
    for (const client of this.clients) client.close()
    for (const member of this.members) {
      member.resume()
      await member.kill()
    }
    await Promise.all([...this.links.clients, this.links.database].map((link) => link.close()))
    await this.postgres.stop()
    await this.brokers?.destroy()
    this.#directory.remove()
  }

  async #startMembers(): Promise<void> {
    const counts = new Map<MemberRole, number>()
    for (const role of roles[this.log]) {
      const number = (counts.get(role) ?? 0) + 1
      counts.set(role, number)
      await this.#startMember(role === 'all' ? 'program' : `${role} ${number}`, role)
    }
    await Promise.all(this.members.map((member) => member.ready()))
  }

  async #startMember(name: string, role: MemberRole): Promise<void> {
    const port = await freePort()
    const directory =
      role === 'all' ? this.dataDirectory : join(this.dataDirectory, name.replace(' ', '-'))
    mkdirSync(directory, { recursive: true })
    const database = this.links.database.through(this.databaseUrl)
    const flags = ['--data-dir', directory, '--workers', '2', '--database-url', database]
    if (this.brokers !== undefined) {
      flags.push('--brokers', this.brokers.proxied, '--topic', this.topic, '--group', this.group)
    }
    const all = [...flags, ...this.#flags]
    const launch = this.#launch
    this.members.push(new LiveMember({ name, role, port, flags: all, ...(launch && { launch }) }))
    if (role !== 'worker') this.links.clients.push(await Proxy.start({ port }))
  }
}
