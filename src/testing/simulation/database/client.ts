// The packages pg and pg-copy-streams, as far as postgres/connection.ts and postgres/copy.ts use
// them, with a simulated server at the other end.
// In:  queries; faults of the network.
// Out: results and errors as pg gives them; connections that break in every way they can.
// Absent: SQL.

import { EventEmitter } from 'node:events'
import type { Random } from '../../random.ts'
import { here, type Life, type Scheduler } from '../scheduler.ts'
import { Wire, latencyMs } from '../wire.ts'
import type { Database } from './database.ts'
import type { PostgresError } from './errors.ts'
import type { Peer, Session } from './session.ts'
import type { Result } from './statements.ts'

export interface Network {
  scheduler: Scheduler
  random: Random
  database: Database
  /** Connections that faults may choose from. */
  clients: Set<SimulatedClient>
}

/** How a connection breaks: which end learns of it late, and what of what was under way arrives. */
export const cutKinds = ['both', 'client-first', 'server-first', 'replies-lost', 'held'] as const

export type CutKind = (typeof cutKinds)[number]

/** The process or thread that has the connection. */
export interface ClientSide {
  life: Life
  peer: Peer
}

class CopyStream extends EventEmitter {
  readonly text: string
  rowCount = 0
  buffers: Uint8Array[] = []
  onEnd: () => void = () => undefined

  constructor(text: string) {
    super()
    this.text = text
  }

  write(buffer: Uint8Array): boolean {
    this.buffers.push(buffer)
    return true
  }

  end(): void {
    this.onEnd()
  }
}

export class SimulatedClient extends EventEmitter {
  /** What Connection.destroy() reaches for. */
  readonly connection = { stream: { destroy: () => this.abandon() } }
  readonly side: ClientSide
  private readonly network: Network
  private readonly up: Wire
  private readonly down: Wire
  private session: Session | undefined
  private isClosed = false
  private isEnding = false
  /** Of the messages to come, which is the last, and how it goes then. */
  private breaking: { isLast: (text: string) => boolean; kind: CutKind } | undefined
  private readonly pending = new Set<(error: Error) => void>()

  constructor(network: Network, side: ClientSide) {
    super()
    this.network = network
    this.side = side
    this.up = new Wire(network.scheduler, network.random)
    this.down = new Wire(network.scheduler, network.random)
  }

  connect(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.pending.add(reject)
      this.up.send(undefined, () => {
        const session = this.network.database.accept(this.side.peer)
        this.session = session
        if (session) session.onTerminated = (error) => this.serverEnds(error)
        this.down.send(this.side.life, () => {
          if (!this.pending.delete(reject)) return
          if (session) {
            this.network.clients.add(this)
            resolve()
            return
          }
          this.isClosed = true
          reject(Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' }))
        })
      })
    })
  }

  query(query: string | CopyStream, values: readonly unknown[] = []): unknown {
    if (typeof query === 'string') {
      return this.ask(query, values, []).then((results) => {
        const each = results.map(({ command, rowCount, rows }) => ({ command, rowCount, rows }))
        return each.length === 1 ? each[0] : each
      })
    }
    query.onEnd = () => {
      this.ask(query.text, [], query.buffers).then(
        (results) => {
          query.rowCount = results.at(-1)?.rowCount ?? 0
          query.emit('finish')
        },
        (error: unknown) => query.emit('error', error),
      )
    }
    return query
  }

  end(): Promise<void> {
    this.isEnding = true
    return new Promise((resolve) => {
      if (this.isClosed) {
        resolve()
        return
      }
      this.once('end', () => resolve())
      this.up.send(undefined, () => {
        this.session?.end()
        this.down.send(this.side.life, () => this.closed('Connection terminated'))
      })
    })
  }

  /** Our process or thread is no more, or its machine: then the server learns of it late. */
  vanish(isSilent: boolean): void {
    const { scheduler, random, clients } = this.network
    clients.delete(this)
    if (random.chance(0.5)) this.up.cut()
    const wait = isSilent ? 500 + 3000 * random.fraction() : 20 * random.fraction()
    scheduler.after(wait, undefined, () => this.session?.end())
  }

  /** Breaks once so many messages more have been sent. */
  breakAfter(messages: number, kind: CutKind): void {
    if (messages === 0) this.break(kind)
    else this.breaking = { kind, isLast: () => --messages === 0 }
  }

  /** Breaks when this statement has been sent. */
  breakAt(statement: string, kind: CutKind): void {
    this.breaking = { kind, isLast: (text) => text === statement }
  }

  break(kind: CutKind): void {
    const { scheduler, random } = this.network
    const soon = (): number => latencyMs(random)
    const late = (): number => 200 + 3000 * random.fraction()
    const wait = {
      both: { client: soon(), server: soon() },
      'client-first': { client: soon(), server: late() },
      'server-first': { client: late(), server: soon() },
      'replies-lost': { client: late(), server: late() },
      held: { client: soon(), server: late() },
    }[kind]
    if (kind === 'both' && random.chance(0.5)) this.up.cut()
    if (kind === 'held') this.up.hold((wait.server * 2) / 3)
    this.down.cut()
    scheduler.after(wait.client, this.side.life, () =>
      this.closed('Connection terminated unexpectedly'),
    )
    scheduler.after(wait.server, undefined, () => this.session?.end())
  }

  private ask(
    text: string,
    values: readonly unknown[],
    data: readonly Uint8Array[],
  ): Promise<Result[]> {
    return new Promise((resolve, reject) => {
      if (this.isClosed) {
        reject(new Error('Client has encountered a connection error and is not queryable'))
        return
      }
      this.pending.add(reject)
      const answer = (outcome: Result[] | PostgresError): void =>
        this.down.send(this.side.life, () => {
          if (!this.pending.delete(reject)) return
          if (Array.isArray(outcome)) resolve(outcome)
          else reject(outcome)
        })
      this.up.send(undefined, () => this.session?.receive({ text, values, data, answer }))
      if (this.breaking?.isLast(text) !== true) return
      const { kind } = this.breaking
      this.breaking = undefined
      this.break(kind)
    })
  }

  private serverEnds(error: PostgresError): void {
    this.down.send(this.side.life, () => this.closed(error.message, error))
  }

  /** Cut by ourselves. */
  private abandon(): void {
    if (this.isClosed) return
    const { scheduler, random } = this.network
    if (random.chance(0.3)) this.up.hold(1000 * random.fraction())
    this.up.send(undefined, () => this.session?.end())
    scheduler.after(0, this.side.life, () => this.closed('Connection terminated'))
  }

  private closed(message: string, cause?: PostgresError): void {
    if (this.isClosed) return
    this.isClosed = true
    this.network.clients.delete(this)
    const error = cause ?? new Error(message)
    for (const reject of this.pending) reject(error)
    this.pending.clear()
    if (!this.isEnding) this.emit('error', error)
    this.emit('end')
  }
}

export function postgresModules(): Record<string, unknown> {
  class Client extends SimulatedClient {
    constructor() {
      const { network, side } = here()
      super(network, side)
    }
  }
  const copy = { from: (text: string) => new CopyStream(text) }
  return { pg: { Client, default: { Client } }, 'pg-copy-streams': { ...copy, default: copy } }
}
