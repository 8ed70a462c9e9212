// A TCP proxy that hurts: between any two of clients, program, PostgreSQL and Kafka brokers.
// In:  where to connect to, and what to do to the bytes that pass.
// Out: an address to connect to; cuts, delays, halves, silence.
// Absent: what runs at either end.

import { once } from 'node:events'
import { connect, createServer, type Server, type Socket } from 'node:net'
import {
  fair,
  type Conditions,
  type Cut,
  type Direction,
  type DroppedCommit,
} from './conditions.ts'
import { Connection } from './connection.ts'

export interface ProxyOptions {
  host?: string
  port: number
  /** Where to listen; a free port unless given. */
  listenPort?: number
  /** Follow the sessions, so that replies of COMMIT can be dropped. */
  isPostgres?: boolean
}

/** What is to happen to the next connection that fits. */
interface Ambush<Result> {
  strikes: (connection: Connection) => boolean
  done: (result: Result) => void
}

export class Proxy {
  readonly #options: ProxyOptions
  readonly #server: Server
  readonly #connections = new Set<Connection>()
  #conditions: Conditions = fair
  #halves: (Ambush<void> & { direction: Direction; bytesMin: number })[] = []
  #drops: Ambush<DroppedCommit>[] = []

  static async start(options: ProxyOptions): Promise<Proxy> {
    const server = createServer({ allowHalfOpen: true, noDelay: true })
    const proxy = new Proxy(options, server)
    server.listen(options.listenPort ?? 0, '127.0.0.1')
    await once(server, 'listening')
    return proxy
  }

  private constructor(options: ProxyOptions, server: Server) {
    this.#options = options
    this.#server = server
    server.on('connection', (near) => this.#accept(near))
  }

  get port(): number {
    return (this.#server.address() as { port: number }).port
  }

  /** `host:port` */
  get address(): string {
    return `127.0.0.1:${this.port}`
  }

  /** Connections open now. */
  get connections(): number {
    return this.#connections.size
  }

  /** The same URL with this proxy in between. */
  through(url: string): string {
    const changed = new URL(url)
    changed.host = this.address
    return changed.href
  }

  /** From now on, for open and for new connections. */
  set(conditions: Partial<Conditions>): void {
    this.#conditions = { ...this.#conditions, ...conditions }
    for (const connection of this.#connections) connection.wake()
  }

  /**
   * Everything passes as it should; what waited arrives. Nothing is in ambush any more, and what
   * was never struck is not reported.
   */
  heal(): void {
    this.#halves = []
    this.#drops = []
    this.set(fair)
  }

  /** Ends all open connections; how many there were. */
  cut(how: Cut): number {
    const open = [...this.#connections]
    for (const connection of open) connection.cut(how)
    return open.length
  }

  /**
   * Of the next message of at least `bytesMin` that goes in this direction the first half arrives,
   * and the connection is reset. Resolves when it has happened.
   */
  halve(direction: Direction, bytesMin = 64): Promise<void> {
    return new Promise((resolve) => {
      this.#halves.push({ direction, bytesMin, strikes: () => true, done: resolve })
    })
  }

  /**
   * Lets the next COMMIT through, keeps its reply, and resets the connection: the client cannot
   * know whether it has committed. Resolves when it has happened.
   */
  dropCommitReply(application = /^/): Promise<DroppedCommit> {
    return new Promise((resolve) => {
      const strikes = ({ session }: Connection): boolean =>
        session !== undefined && application.test(session.applicationName)
      this.#drops.push({ strikes, done: resolve })
    })
  }

  async close(): Promise<void> {
    const closed = once(this.#server, 'close')
    this.#server.close()
    // One that was on its way in when the server closed would keep it open.
    this.set({ refuses: true })
    this.cut('reset')
    await closed
  }

  #accept(near: Socket): void {
    // Whoever is cut off complains; there is nobody to hear it here.
    near.on('error', () => undefined)
    if (this.#conditions.refuses) {
      near.resetAndDestroy()
      return
    }
    const { host = '127.0.0.1', port } = this.#options
    const far = connect({ host, port, allowHalfOpen: true, noDelay: true })
    const connection: Connection = new Connection({
      near,
      far,
      conditions: () => this.#conditions,
      isPostgres: this.#options.isPostgres === true,
      halves: (direction, bytes) => this.#takeHalf(connection, direction, bytes),
      dropsCommit: () => this.#takeDrop(connection),
    })
    this.#connections.add(connection)
    void connection.closed.then(() => this.#connections.delete(connection))
  }

  #takeHalf(connection: Connection, direction: Direction, bytes: number): (() => void) | undefined {
    const at = this.#halves.findIndex(
      (one) => one.direction === direction && bytes >= one.bytesMin && one.strikes(connection),
    )
    return at < 0 ? undefined : this.#halves.splice(at, 1)[0]?.done
  }

  #takeDrop(connection: Connection): ((dropped: DroppedCommit) => void) | undefined {
    const at = this.#drops.findIndex((one) => one.strikes(connection))
    return at < 0 ? undefined : this.#drops.splice(at, 1)[0]?.done
  }
}
