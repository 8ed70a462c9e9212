// A reply that is made while it is sent.
// In:  chunks from whoever makes the reply, asked for one at a time.
// Out: pieces for uWebSockets.js, no faster than the client takes them.
// Absent: heads and ends of replies (exchange.ts), anything that waits in a queue.

/*
 * At most one chunk of the maker and one piece of uWebSockets.js are held, however slow the client
 * is: after a piece that did not fit into the socket, nothing is asked for or written until all of
 * it has left.
 *
 * uWebSockets.js cuts a connection by itself once nothing of such a piece has left for 8 to 12 s;
 * while the client waits for us, it has all the time that the maker takes.
 */

import { streamPieceBytes } from '../limits.ts'
import { metrics } from '../observe/metrics.ts'
import type { Deadlines } from './deadlines.ts'
import type { HttpReply, Stream, WholeReply } from './http.ts'
import type { NativeResponse } from './native.ts'

/** What all streams of a server share. */
export interface Streams {
  /** Begun, and their makers not done yet. */
  readonly open: Set<ReplyStream>
  readonly max: number
  /** Of clients that take nothing. */
  readonly stalls: Deadlines<ReplyStream>
}

export interface StreamOptions {
  streams: Streams
  /** Of the request, for the log. */
  path: string
  /** It may be ended in order between two chunks, since its reader goes on elsewhere. */
  isEndless: boolean
  /** Told of what fails when the maker is asked to clean up. */
  onFailure: (error: unknown) => void
}

const ended: IteratorResult<Uint8Array> = { done: true, value: undefined }

export class ReplyStream {
  readonly path: string
  readonly isEndless: boolean
  private readonly chunks: AsyncIterator<Uint8Array>
  private readonly streams: Streams
  private readonly onFailure: (error: unknown) => void
  private native: NativeResponse | undefined
  private isStopped = false
  private isGone = false
  /** Ends the wait for the maker's next chunk. */
  private interrupt: () => void = () => undefined
  /** Ends the wait for the client to take a piece. */
  private release: () => void = () => undefined

  constructor(body: Stream, { streams, path, isEndless, onFailure }: StreamOptions) {
    this.chunks = body[Symbol.asyncIterator]()
    this.streams = streams
    this.path = path
    this.isEndless = isEndless
    this.onFailure = onFailure
  }

  /** False when there are too many already. */
  begin(): boolean {
    const { open, max } = this.streams
    if (open.size >= max) return false
    open.add(this)
    metrics.streams.set(open.size)
    return true
  }

  /** The next chunk with something in it; the end, once the stream is stopped. */
  async next(): Promise<IteratorResult<Uint8Array>> {
    for (;;) {
      const result = await this.ask()
      if (this.isStopped) return ended
      if (result.done) this.leave()
      if (result.done || result.value.length > 0) return result
    }
  }

  /**
   * Sends a chunk and all that follow it. Resolves with whether the client was there to the end;
   * rejects with what the maker throws.
   */
  async send(native: NativeResponse, first: IteratorResult<Uint8Array>): Promise<boolean> {
    this.native = native
    native.onWritable(() => {
      this.release()
      return true
    })
    for (let result = first; !result.done; result = await this.next()) {
      const { value } = result
      for (let at = 0; at < value.length; at += streamPieceBytes) {
        const piece = value.subarray(at, at + streamPieceBytes)
        let fits = true
        native.cork(() => {
          fits = native.write(piece)
        })
        if (!fits && !this.isGone) await this.drained()
        // Other requests have their turn, even where chunks are at hand.
        else await new Promise(setImmediate)
        if (this.isGone) return false
      }
    }
    return !this.isGone
  }

  /** Asks for no more chunks, so that what was sent ends between two of them. */
  stop(): void {
    if (this.isStopped) return
    this.isStopped = true
    if (this.streams.open.has(this)) void this.dismiss()
    this.interrupt()
  }

  /** Closes the connection of a client that takes nothing; abandon() follows. */
  cut(): void {
    this.native?.close()
  }

  /** The client is gone: writes nothing more. */
  abandon(): void {
    this.isGone = true
    this.native = undefined
    this.stop()
    this.release()
  }

  /** The maker failed, or is done. */
  leave(): void {
    this.streams.open.delete(this)
    metrics.streams.set(this.streams.open.size)
  }

  private ask(): Promise<IteratorResult<Uint8Array>> {
    if (this.isStopped) return Promise.resolve(ended)
    return new Promise((resolve, reject) => {
      this.interrupt = () => resolve(ended)
      this.chunks.next().then(resolve, reject)
    })
  }

  private async drained(): Promise<void> {
    const { stalls } = this.streams
    stalls.begin(this)
    await new Promise<void>((resolve) => (this.release = resolve))
    stalls.end(this)
  }

  private async dismiss(): Promise<void> {
    try {
      await this.chunks.return?.()
    } catch (error) {
      this.onFailure(error)
    } finally {
      this.leave()
    }
  }
}

export function isWhole(reply: HttpReply): reply is WholeReply {
  return typeof reply.body === 'string' || reply.body instanceof Uint8Array
}
