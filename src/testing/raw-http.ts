// A TCP connection that speaks HTTP as badly as a test wants.
// In:  bytes to send, in the pieces the test chooses.
// Out: replies as they came, and the end of the connection.
// Absent: a check of anything that is sent.

import { once } from 'node:events'
import { connect, type Socket } from 'node:net'

export interface RawReply {
  status: number
  /** By lower-case name. */
  headers: ReadonlyMap<string, string>
  /** Without the framing of chunks. */
  body: string
}

export class RawConnection {
  readonly socket: Socket
  /** Resolves when the server has closed the connection, or reset it. */
  readonly closed: Promise<void>
  private unread = ''
  private isClosed = false
  private wake = (): void => undefined

  static async open(port: number): Promise<RawConnection> {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true })
    const connection = new RawConnection(socket)
    await once(socket, 'connect')
    return connection
  }

  private constructor(socket: Socket) {
    this.socket = socket
    socket.setEncoding('latin1')
    socket.on('data', (text: string) => {
      this.unread += text
      this.wake()
    })
    // A reset is one way of being closed; the test looks at what was received.
    socket.on('error', () => undefined)
    this.closed = new Promise((resolve) => {
      socket.once('close', () => {
        this.isClosed = true
        this.wake()
        resolve()
      })
    })
  }

  send(bytes: string | Uint8Array): void {
    this.socket.write(bytes)
  }

  /** The next reply; rejects when the connection is closed before it is whole. */
  async reply(options: { withoutBody?: boolean } = {}): Promise<RawReply> {
    const headEnd = await this.position(() => this.unread.indexOf('\r\n\r\n'))
    const [statusLine = '', ...lines] = this.unread.slice(0, headEnd).split('\r\n')
    const headers = new Map(
      lines.map((line) => {
        const colon = line.indexOf(':')
        return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()] as const
      }),
    )
    const bodyAt = headEnd + 4
    if (!options.withoutBody && headers.get('transfer-encoding') === 'chunked') {
      const body = await this.chunked(bodyAt)
      return { status: Number(statusLine.split(' ')[1]), headers, body }
    }
    const declared = options.withoutBody ? 0 : Number(headers.get('content-length') ?? 0)
    const end = await this.position(() =>
      this.unread.length >= bodyAt + declared ? bodyAt + declared : -1,
    )
    const body = this.unread.slice(bodyAt, end)
    this.unread = this.unread.slice(end)
    return { status: Number(statusLine.split(' ')[1]), headers, body }
  }

  /** Resolves when this text has come and was not read as a reply. */
  async until(text: string): Promise<void> {
    await this.position(() => this.unread.indexOf(text))
  }

  /** All that came and was not read as a reply, once the server has closed. */
  async rest(): Promise<string> {
    await this.closed
    return this.unread
  }

  close(): void {
    this.socket.destroy()
  }

  private async chunked(start: number): Promise<string> {
    // Copies: a slice of a string keeps all of that string alive.
    const pieces: Buffer[] = []
    this.unread = this.unread.slice(start)
    for (;;) {
      const lineEnd = await this.position(() => this.unread.indexOf('\r\n'))
      const size = Number.parseInt(this.unread.slice(0, lineEnd), 16)
      const end = lineEnd + 2 + size
      await this.position(() => (this.unread.length >= end + 2 ? end : -1))
      pieces.push(Buffer.from(this.unread.slice(lineEnd + 2, end), 'latin1'))
      this.unread = this.unread.slice(end + 2)
      if (size === 0) return Buffer.concat(pieces).toString('latin1')
    }
  }

  private async position(find: () => number): Promise<number> {
    for (;;) {
      const at = find()
      if (at >= 0) return at
      if (this.isClosed) throw new Error(`Closed after ${JSON.stringify(this.unread)}.`)
      await new Promise<void>((resolve) => (this.wake = resolve))
    }
  }
}

/** Sends one request on a connection of its own, and returns the reply. */
export async function exchange(port: number, request: string): Promise<RawReply> {
  const connection = await RawConnection.open(port)
  try {
    connection.send(request)
    return await connection.reply()
  } finally {
    connection.close()
  }
}
