// What a fault is, and what it may touch.
// In:  nothing.
// Out: types: faults that heal, trials that end in a halt, and the scene both act on.
// Absent: any fault; the scene itself (scene.ts).

import type { Generator } from '../generate.ts'
import type { History } from '../history.ts'
import type { TestPostgres } from '../postgres.ts'
import type { Program } from '../program.ts'
import type { Proxy } from '../proxy/proxy.ts'
import type { Random } from '../random.ts'

export type LogKind = 'embedded' | 'kafka'

/** What one process does: everything on the embedded log, one of the two on Kafka. */
export type MemberRole = 'all' | 'ingress' | 'worker'

/** Where a fault strikes. */
export type FaultKind =
  'process' | 'network' | 'postgres' | 'broker' | 'records' | 'disk' | 'clock' | 'client'

/** Undoes the fault. Resolves when nothing of it is left; recovery is measured from then on. */
export type Heal = () => Promise<void>

/** Something that goes wrong while everything runs, and then is well again. */
export interface Fault {
  /** Such as `kill-worker`; what `--faults` takes, and what the report counts by. */
  readonly name: string
  /** Faults of a kind stand together in the report. */
  readonly kind: FaultKind
  /** One sentence for the report. */
  readonly what: string
  readonly logs: readonly LogKind[]
  /** How often it is chosen, beside 1 for the usual ones. */
  readonly weight?: number
  /** How long it lasts between injection and healing, in milliseconds; drawn evenly. */
  readonly holdMs: readonly [least: number, most: number]
  /** Rows may have times of which no client knows (clocks are moved). */
  readonly movesClocks?: true
  /** Why it cannot be had on this machine; then it is left out, and the report says so. */
  unavailable?(scene: Scene): Promise<string | undefined> | string | undefined
  /** Resolves once it has struck. All chances come from `random`, and from nowhere else. */
  inject(scene: Scene, random: Random): Promise<Heal>
}

/**
 * A fault that has a scene of its own, because the program must halt, or because it needs a disk of
 * its own. The scene is started and under load when `run` is called, and thrown away afterwards;
 * unless `halts`, everything acknowledged is checked before.
 */
export interface Trial {
  readonly name: string
  readonly kind: FaultKind
  readonly what: string
  readonly logs: readonly LogKind[]
  /** Partitions must halt, so that not all that is acknowledged can come to the tables. */
  readonly halts: boolean
  /** What the scene must have beyond the usual. */
  readonly scene?: SceneDemands
  unavailable?(): Promise<string | undefined> | string | undefined
  /** Rejects when the program does not do what it must. */
  run(scene: Scene, random: Random): Promise<void>
}

export interface SceneDemands {
  /** Where the program keeps its data (the embedded log); a temporary directory where absent. */
  dataDirectory?: string
  /** Where PostgreSQL keeps its own; a temporary directory where absent. */
  postgresDirectory?: string
  /** Further flags of every program. */
  flags?: readonly string[]
  /** Further settings of every broker. */
  brokerProperties?: Readonly<Record<string, string>>
}

/** A process of the program with its place in the scene; the place stays when the process dies. */
export interface Member {
  /** Such as `worker 2`. */
  readonly name: string
  readonly role: MemberRole
  /** The process that runs now, or that ran last. */
  readonly program: Program
  readonly pid: number
  readonly isUp: boolean
  /** SIGSTOP or SIGCONT. */
  stop(): void
  resume(): void
  /** SIGKILL; resolves when it is gone. */
  kill(): Promise<void>
  /** Starts it again with the same flags, and some for this life only; resolves once spawned. */
  start(...flags: readonly string[]): void
  /** Resolves once it is ready. */
  ready(timeoutMs?: number): Promise<void>
}

/** The brokers, as far as faults and the scene know them (cluster.ts starts them). */
export interface Brokers {
  readonly count: number
  /** Direct addresses, for the harness: `host:port,…`. */
  readonly bootstrap: string
  /** Addresses through `links`, for the program. */
  readonly proxied: string
  /** In front of each broker, for the program. */
  readonly links: readonly Proxy[]
  /** In front of each broker, for the other brokers. */
  readonly fellowLinks: readonly Proxy[]
  pid(broker: number): number
  freeze(broker: number): void
  thaw(broker: number): void
  kill(broker: number): Promise<void>
  stop(broker: number): Promise<void>
  /** Starts it again; resolves when it listens. */
  start(broker: number): Promise<void>
  /** Resolves when every partition of the topic has all its replicas in sync. */
  awaitInSync(topic: string, timeoutMs?: number): Promise<void>
  destroy(): Promise<void>
}

/** Moves the clock that every program of the scene sees. */
export interface Clock {
  /** Milliseconds ahead of the real one; negative: behind. */
  set(aheadMs: number): void
  /** Resolves once every program has noticed. */
  noticed(): Promise<void>
}

/** Bad records put into the log, each of which must end in quarantine, and nothing else may. */
export interface InjectedRecords {
  add(partition: number, offset: number, what: string): void
  readonly count: number
}

export interface Scene {
  readonly log: LogKind
  readonly topic: string
  /** Of the consumer group. */
  readonly group: string
  /** Where the programs keep their data. */
  readonly dataDirectory: string
  readonly members: readonly Member[]
  readonly postgres: TestPostgres
  /** As the harness connects; the programs go through `links.database`. */
  readonly databaseUrl: string
  readonly links: {
    /** In front of each member that takes requests; in the order of `members`. */
    readonly clients: readonly Proxy[]
    readonly database: Proxy
  }
  /** On Kafka only. */
  readonly brokers?: Brokers
  /** Where clocks can be moved on this machine. */
  readonly clock?: Clock
  readonly injected: InjectedRecords
  readonly history: History
  /** Makes batches of the load's own shape. */
  readonly generator: Generator
  /** Base URLs for requests of a fault's own, as the clients use them: through the proxies. */
  targets(): readonly string[]
  /** A line in the timeline. */
  note(text: string): void
}
