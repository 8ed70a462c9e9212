// One connection through the proxy: two sockets, and a pipe in each direction.
// In:  the sockets, the conditions, and what lies in ambush.
// Out: bytes from one to the other, until it is cut or ended.
// Absent: listening (proxy.ts).

import type { Socket } from 'node:net'
import type { Conditions, Cut, Direction, DroppedCommit } from './conditions.ts'
import { Pipe, type Verdict } from './pipe.ts'
import { PostgresSession } from './postgres-session.ts'

export interface ConnectionOptions {
  /** Of whoever connected. */
  near: Socket
  far: Socket
  conditions: () => Conditions
  isPostgres: boolean
  /** Called with each piece; what to call once it has been halved, if it is to be. */
  halves: (direction: Direction, bytes: number) => (() => void) | undefined
  /** Called at each COMMIT; what to call once its reply was dropped, if it is to be. */
  dropsCommit: () => ((dropped: DroppedCommit) => void) | undefined
}

export class Connection {
  readonly session: PostgresSession | undefined
  readonly closed: Promise<void>
  readonly #options: ConnectionOptions
  readonly #pipes: readonly Pipe[]
  #dropping: ((dropped: DroppedCommit) => void) | undefined
  #isHalved = false

  constructor(options: ConnectionOptions) {
    this.#options = options
    const { near, far } = options
    if (options.isPostgres) {
      this.session = new PostgresSession({
        onCommit: () => (this.#dropping ??= options.dropsCommit()),
        onAnswered: (tag) => this.#committed(tag),
      })
    }
    // The pipes see that they are closed, and say so to the other side.
    near.on('error', () => undefined)
    far.on('error', () => undefined)
    this.#pipes = [this.#pipe('requests', near, far), this.#pipe('replies', far, near)]
    this.closed = this.#run()
  }

  wake(): void {
    for (const pipe of this.#pipes) pipe.wake()
  }

  cut(how: Cut): void {
    for (const socket of [this.#options.near, this.#options.far]) {
      if (how === 'reset') socket.resetAndDestroy()
      else socket.destroySoon()
    }
  }

  async #run(): Promise<void> {
    const { near, far } = this.#options
    await Promise.all(this.#pipes.map((pipe) => pipe.run()))
    near.destroySoon()
    far.destroySoon()
    this.#committed('')
  }

  #pipe(direction: Direction, source: Socket, target: Socket): Pipe {
    const { conditions } = this.#options
    return new Pipe({
      source,
      target,
      conditions,
      isOpen: () => !conditions().swallows.includes(direction),
      inspect: (chunk) => this.#inspect(direction, chunk),
    })
  }

  #inspect(direction: Direction, chunk: Buffer): Verdict {
    if (this.#isHalved) return { pass: 0 }
    const halved = this.#options.halves(direction, chunk.length)
    if (halved !== undefined) {
      this.#isHalved = true
      const afterwards = (): void => {
        this.#cutBehind(direction)
        halved()
      }
      return { pass: chunk.length >> 1, afterwards }
    }
    if (direction === 'requests') {
      this.session?.requests(chunk)
      return { pass: chunk.length }
    }
    // Nothing comes between a COMMIT and its reply but what belongs to it.
    const isDropping = this.#dropping !== undefined
    this.session?.replies(chunk)
    return { pass: isDropping ? 0 : chunk.length }
  }

  /** The sender is reset at once; the receiver once it has been sent what was written. */
  #cutBehind(direction: Direction): void {
    const { near, far } = this.#options
    const [source, target] = direction === 'requests' ? [near, far] : [far, near]
    target.end(() => target.destroy())
    source.resetAndDestroy()
  }

  #committed(tag: string): void {
    if (this.#dropping === undefined) return
    this.#dropping({ applicationName: this.session?.applicationName ?? '', tag })
    this.#dropping = undefined
    this.cut('reset')
  }
}
