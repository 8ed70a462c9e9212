// Many sockets that each mistreat a server in the same way.
// In:  a port, how many, what each sends at first and then once a second.
// Out: the crowd, to be ended.
// Absent: reading what comes, beyond counting who was answered or cut.

import { connect, type Socket } from 'node:net'

export interface Manner {
  /** Sent as soon as the socket is connected. */
  first: string
  /** Sent again every second; nothing where it is empty. */
  then: string
  /** What the server sends is left in the kernel. */
  isDeaf?: boolean
}

/** So many connections are opened at a time, lest the listening queue overflow. */
const openingMax = 200

export class Crowd {
  readonly #sockets = new Set<Socket>()
  readonly #timer: NodeJS.Timeout
  readonly #manners = new Map<Socket, Manner>()
  opened = 0

  constructor() {
    this.#timer = setInterval(() => this.#trickle(), 1000)
  }

  get open(): number {
    return this.#sockets.size
  }

  /** Resolves when all of them were connected. */
  async join(port: number, count: number, manner: Manner): Promise<void> {
    for (let done = 0; done < count; done += openingMax) {
      const group = Array.from({ length: Math.min(openingMax, count - done) }, () =>
        this.#enter(port, manner),
      )
      await Promise.all(group)
    }
  }

  /** Sockets that send a part of a request and reset the connection, so many at a time. */
  static async reset(port: number, count: number, parts: readonly string[]): Promise<void> {
    for (let done = 0; done < count; done += openingMax) {
      const group = Array.from({ length: Math.min(openingMax, count - done) }, (_, i) =>
        resetOne(port, parts[i % parts.length]),
      )
      await Promise.all(group)
    }
  }

  end(): void {
    clearInterval(this.#timer)
    for (const socket of this.#sockets) socket.resetAndDestroy()
  }

  #enter(port: number, manner: Manner): Promise<void> {
    return new Promise((resolve) => {
      const socket = connect({ port, host: '127.0.0.1', noDelay: true })
      socket.on('error', () => undefined)
      socket.once('close', () => {
        this.#sockets.delete(socket)
        this.#manners.delete(socket)
        resolve()
      })
      socket.once('connect', () => {
        this.opened += 1
        this.#sockets.add(socket)
        this.#manners.set(socket, manner)
        if (manner.isDeaf) socket.pause()
        else socket.resume()
        socket.write(manner.first)
        resolve()
      })
    })
  }

  #trickle(): void {
    for (const [socket, { then }] of this.#manners) {
      if (then !== '' && socket.writable) socket.write(then)
    }
  }
}

function resetOne(port: number, part: string): Promise<void> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true })
    socket.on('error', () => undefined)
    socket.once('close', () => resolve())
    socket.once('connect', () => {
      socket.write(part, () => socket.resetAndDestroy())
    })
  })
}

/** Sends without end until the server closes the connection. */
export async function pour(port: number, head: string, piece: Uint8Array): Promise<void> {
  const socket = connect({ port, host: '127.0.0.1' })
  let isClosed = false
  socket.on('error', () => undefined)
  socket.resume()
  socket.once('close', () => (isClosed = true))
  socket.write(head)
  while (!isClosed) if (!socket.write(piece)) await drained(socket)
}

function drained(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    socket.once('drain', resolve)
    socket.once('close', () => resolve())
    if (socket.destroyed) resolve()
  })
}
