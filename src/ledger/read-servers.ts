// The servers that have the ledger's databases, and which of them is asked: replicas first,
// primaries where none is good enough.
// In:  URLs of primaries in the order that divides the buckets, of replicas in any order.
// Out: rows of whichever server has a database and answers.
// Absent: accounts (read-databases.ts), how one server does (read-server.ts).

/*
 * Which database a replica has a copy of, its ledger.layout says, so replicas come as a flat list.
 * Of the servers of a database these are asked, the idlest of a kind first:
 *
 *   1. replicas that are behind by no more than is allowed,
 *   2. the primary, where it is given,
 *   3. replicas cut off from their primary: what they have is all that can be had now,
 *   4. those that did not answer when they were asked last.
 *
 * A replica that is further behind than allowed, and catching up, is not asked. A read that fails
 * because its server does is sent to one other server.
 */

import { LedgerError } from '../errors.ts'
import type { Logger } from '../observe/logger.ts'
import { metrics } from '../observe/metrics.ts'
import type { Connection, ConnectOptions } from '../postgres/connection.ts'
import type { ReadOptions } from '../postgres/pool.ts'
import { expectLayout, type Layout } from './buckets.ts'
import { mayAnswerElsewhere, ReadServer, type Standing } from './read-server.ts'

export interface ReadServersOptions {
  /** Primaries in the order that divides the buckets; empty where only replicas are known. */
  databaseUrls: readonly string[]
  replicaUrls?: readonly string[]
  buckets: number
  /** Replicas further behind are not asked. */
  replicaLagSecondsMax?: number
  /** For each server. */
  connectionsMax?: number
  statementSeconds?: number
  logger: Pick<Logger, 'warn'>
}

/** How one server does, for metrics and for operators. */
export interface ServerState {
  where: string
  standing: Standing
  lagSeconds: number
  /** Undefined when it is as it should be. */
  reason: string | undefined
}

const rankOfReplica: Readonly<Record<Standing, number>> = {
  fresh: 0,
  'cut-off': 2,
  away: 3,
  late: Infinity,
}

export class ReadServers {
  readonly buckets: number
  readonly #primaries: readonly ReadServer[]
  readonly #replicas: readonly ReadServer[]
  #databases: number
  #firstLook: Promise<unknown> | undefined

  constructor(options: ReadServersOptions) {
    const { databaseUrls, replicaUrls = [], buckets, logger, ...bounds } = options
    const { connectionsMax, statementSeconds, replicaLagSecondsMax = Infinity } = bounds
    const onLost = ({ message }: Error) =>
      logger.warn({ reason: message }, 'a connection for reads was lost')
    const open = (url: string, expect: (where: string, found: Layout) => void): ReadServer =>
      new ReadServer(url, {
        applicationName: 'ledger query',
        onLost,
        lagSecondsMax: replicaLagSecondsMax,
        expect,
        ...(connectionsMax === undefined ? {} : { connectionsMax }),
        ...(statementSeconds === undefined ? {} : { statementSeconds }),
      })
    this.buckets = buckets
    this.#databases = databaseUrls.length
    this.#primaries = databaseUrls.map((url, databaseIndex) =>
      open(url, (where, found) => {
        expectLayout(where, { buckets, databases: this.#databases, databaseIndex }, found)
      }),
    )
    this.#replicas = replicaUrls.map((url) =>
      open(url, (where, found) => {
        // Where no primary is given, the first replica that answers says how many there are.
        const databases = this.#databases || found.databases
        expectLayout(where, { ...found, buckets, databases }, found)
        this.#databases = databases
      }),
    )
  }

  get states(): ServerState[] {
    return this.#all.map(({ where, standing, lagSeconds, reason }) => {
      return { where, standing, lagSeconds, reason }
    })
  }

  /** How many databases share the buckets; rejects where nobody has said so yet. */
  async databases(): Promise<number> {
    await (this.#firstLook ??= this.check().catch(() => undefined))
    if (this.#databases > 0) return this.#databases
    await this.check()
    if (this.#databases > 0) return this.#databases
    throw this.#nobody(this.#all)
  }

  /**
   * Looks at every server that is due. Rejects with why a part of the ledger cannot be read now.
   */
  async check(): Promise<void> {
    const due = this.#all.filter((server) => server.isDue)
    const errors = new Map<ReadServer, Error>()
    await Promise.all(
      due.map((server) =>
        server.look().catch((error: unknown) => errors.set(server, error as Error)),
      ),
    )
    for (const { where, standing, lagSeconds } of this.#all) {
      metrics.readServerUp.set({ server: where }, standing === 'away' ? 0 : 1)
      metrics.readServerLag.set({ server: where }, Math.min(lagSeconds, Number.MAX_SAFE_INTEGER))
    }
    for (let index = 0; index < Math.max(1, this.#databases); index++) {
      const servers = this.#serversOf(index)
      if (servers.some(({ standing }) => standing !== 'away' && standing !== 'late')) continue
      const known = servers.map((server) => errors.get(server)).find((error) => error !== undefined)
      throw known ?? this.#nobody(servers)
    }
  }

  /** Rows of each SELECT, as of one instant, from whichever server of the database answers. */
  async snapshot(
    databaseIndex: number,
    selects: readonly string[],
    options: ReadOptions,
  ): Promise<unknown[][]> {
    const [first, second] = this.#candidates(databaseIndex)
    if (first === undefined) throw this.#nobody(this.#serversOf(databaseIndex))
    try {
      return await first.snapshot(selects, options)
    } catch (error) {
      if (second === undefined || !mayAnswerElsewhere(error)) throw error
      metrics.readFailovers.inc()
      return second.snapshot(selects, options)
    }
  }

  /** A connection to whichever server of the database takes one. */
  async connect(databaseIndex: number, options: ConnectOptions): Promise<Connection> {
    const [first, second] = this.#candidates(databaseIndex)
    if (first === undefined) throw this.#nobody(this.#serversOf(databaseIndex))
    try {
      return await first.connect(options)
    } catch (error) {
      if (second === undefined || !mayAnswerElsewhere(error)) throw error
      metrics.readFailovers.inc()
      return second.connect(options)
    }
  }

  async close(): Promise<void> {
    await Promise.all(this.#all.map((server) => server.close()))
  }

  get #all(): ReadServer[] {
    return [...this.#primaries, ...this.#replicas]
  }

  /** In the order in which they are to be asked. */
  #candidates(databaseIndex: number): ReadServer[] {
    const primary = this.#primaries.at(databaseIndex)
    const rank = (server: ReadServer): number =>
      server === primary && server.standing !== 'away' ? 1 : rankOfReplica[server.standing]
    // Servers that are equally idle take turns.
    const shuffled = this.#serversOf(databaseIndex).map((server) => {
      return { server, rank: rank(server), load: server.load + Math.random() }
    })
    return shuffled
      .filter((one) => one.rank < Infinity)
      .sort((a, b) => a.rank - b.rank || a.load - b.load)
      .map(({ server }) => server)
  }

  #serversOf(databaseIndex: number): ReadServer[] {
    const own = this.#replicas.filter(({ layout }) => layout?.databaseIndex === databaseIndex)
    const primary = this.#primaries.at(databaseIndex)
    return primary ? [primary, ...own] : own
  }

  #nobody(servers: readonly ReadServer[]): LedgerError {
    const reasons = (servers.length > 0 ? servers : this.#all).map(({ reason }) => reason)
    const message = `No server can be read from now. ${reasons.join(' ')}`
    return new LedgerError('DATABASE_UNAVAILABLE', message)
  }
}
