// Follows a session of PostgreSQL's protocol 3 from outside.
// In:  the bytes of both directions, as they come.
// Out: when a COMMIT goes by, and when it has been answered.
// Absent: TLS; anything else about what is said.

// Message      => CHAR type, INT32 length of itself and the body, body
// First ones   => the same without a type: startup, or a request for TLS, answered by one byte.

/** Bodies beyond this are not looked at: neither COMMIT nor its reply is as long. */
const bodyBytesMax = 512

const tlsRequests = [80_877_103, 80_877_104]

/** Splits a stream into messages, and hands over the short ones. */
class Messages {
  /** Whether the next message has no type. */
  untyped: boolean
  /** Bytes to leave out before the next message. */
  skip = 0
  readonly #on: (type: string, body: Buffer) => void
  #head = Buffer.alloc(0)
  #body: Buffer[] = []
  #type = ''
  #length = 0
  #left = 0

  constructor(untyped: boolean, on: (type: string, body: Buffer) => void) {
    this.untyped = untyped
    this.#on = on
  }

  take(chunk: Buffer): void {
    let at = 0
    while (at < chunk.length) {
      if (this.skip > 0) {
        const skipped = Math.min(this.skip, chunk.length - at)
        this.skip -= skipped
        at += skipped
      } else if (this.#left > 0) {
        at = this.#takeBody(chunk, at)
      } else {
        at = this.#takeHead(chunk, at)
      }
    }
  }

  #takeHead(chunk: Buffer, at: number): number {
    const headBytes = this.untyped ? 4 : 5
    const end = Math.min(chunk.length, at + headBytes - this.#head.length)
    this.#head = Buffer.concat([this.#head, chunk.subarray(at, end)])
    if (this.#head.length < headBytes) return end
    this.#type = this.untyped ? '' : String.fromCharCode(this.#head[0])
    this.#length = this.#head.readInt32BE(headBytes - 4) - 4
    this.#left = this.#length
    this.#head = Buffer.alloc(0)
    if (this.#left <= 0) this.#on(this.#type, Buffer.alloc(0))
    return end
  }

  #takeBody(chunk: Buffer, at: number): number {
    const end = Math.min(chunk.length, at + this.#left)
    if (this.#length <= bodyBytesMax) this.#body.push(Buffer.from(chunk.subarray(at, end)))
    this.#left -= end - at
    if (this.#left === 0) {
      const body = Buffer.concat(this.#body)
      this.#body = []
      this.#on(this.#type, body)
    }
    return end
  }
}

export interface PostgresSessionOptions {
  /** A COMMIT goes by. */
  onCommit: () => void
  /** It was answered, with this command tag: `COMMIT` or `ROLLBACK`; nothing after an error. */
  onAnswered: (tag: string) => void
}

export class PostgresSession {
  /** As in pg_stat_activity. */
  applicationName = ''
  readonly #options: PostgresSessionOptions
  readonly #requests: Messages
  readonly #replies: Messages
  #isCommitting = false
  #tag = ''

  constructor(options: PostgresSessionOptions) {
    this.#options = options
    this.#requests = new Messages(true, (type, body) => this.#request(type, body))
    this.#replies = new Messages(false, (type, body) => this.#reply(type, body))
  }

  requests(chunk: Buffer): void {
    this.#requests.take(chunk)
  }

  replies(chunk: Buffer): void {
    this.#replies.take(chunk)
  }

  #request(type: string, body: Buffer): void {
    if (type === '') this.#startup(body)
    // A simple query, or the statement of an extended one behind its name.
    if (type !== 'Q' && type !== 'P') return
    if (!/(^|;|\0)\s*COMMIT\s*;?\s*\0/i.test(body.toString('latin1'))) return
    this.#isCommitting = true
    this.#tag = ''
    this.#options.onCommit()
  }

  #startup(body: Buffer): void {
    if (body.length === 4 && tlsRequests.includes(body.readInt32BE(0))) {
      this.#replies.skip = 1
      return
    }
    const words = body.subarray(4).toString('latin1').split('\0')
    const at = words.indexOf('application_name')
    if (at >= 0) this.applicationName = words[at + 1] ?? ''
    this.#requests.untyped = false
  }

  #reply(type: string, body: Buffer): void {
    if (type === 'C') this.#tag = body.toString('latin1').replace(/\0.*$/s, '')
    if (type !== 'Z' || !this.#isCommitting) return
    this.#isCommitting = false
    this.#options.onAnswered(this.#tag)
  }
}
