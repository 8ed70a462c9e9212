// One request and its reply, from the end of the head to the last byte of the answer.
// In:  uWebSockets.js' response object and what it says; the routes.
// Out: exactly one reply, or none when the client is gone.
// Absent: listening, loading uWebSockets.js (server.ts).

import assert from 'node:assert/strict'
import { STATUS_CODES } from 'node:http'
import type { Logger } from '../observe/logger.ts'
import { metrics } from '../observe/metrics.ts'
import { Body, type BodySource } from './body.ts'
import type { Deadlines } from './deadlines.ts'
import type { HttpReply, HttpRequest, KeptBody, Route, Stream, WholeReply } from './http.ts'
import { framingOf, mediaTypeOf, type Headers } from './negotiation.ts'
import type { NativeRequest, NativeResponse } from './native.ts'
import { isExpected, problem, problemFor } from './problem.ts'
import {
  overloaded,
  refusalOf,
  tooLarge,
  tooManyStreams,
  tooSlow,
  unreadBeforeStream,
  unrouted,
} from './refusal.ts'
import type { Router } from './router.ts'
import { isWhole, ReplyStream, type Streams } from './stream.ts'

/** What all exchanges of a server share. */
export interface ExchangeContext {
  router: Router
  source: BodySource
  deadlines: Deadlines<Exchange>
  bodyDeadlineMs: number
  streams: Streams
  logger: Logger
  /** Exchanges that are neither answered nor given up. */
  open: Set<Exchange>
  /** Told when `open` becomes empty. */
  onIdle: () => void
  /** Every reply closes its connection. */
  isStopping: boolean
}

/**
 * Most bytes of a refused body that are read and thrown away, so that a client still sending sees
 * the answer: closing at once resets the connection under it.
 */
const discardBytesMax = 16 * 1024 * 1024

/**
 * - `keep`: the connection may carry another request.
 * - `announce`: the reply asks the client to close; what still comes of the body is read and thrown
 *   away.
 * - `force`: closed with the reply, because where the next request begins is unknown or too far
 *   away.
 */
type Ending = 'keep' | 'announce' | 'force'

const noBody = new Uint8Array(0)

const noHeaders: Readonly<Record<string, string>> = {}

/*
 * An exchange is receiving, then handling, then perhaps streaming, then over. It is over as soon as
 * `native` is undefined, and that happens in leave() alone: when the reply is written, or when the
 * client goes away. uWebSockets.js throws when its object is touched after either, so everything
 * that comes late (a chunk, a deadline, a handler's reply) asks `native` first.
 */
export class Exchange implements HttpRequest {
  readonly method: string
  readonly path: string
  contentType = ''
  parameters: readonly string[] = []
  body: Uint8Array = noBody

  private readonly context: ExchangeContext
  private native: NativeResponse | undefined
  private readonly headers: Headers
  private readonly queryText: string
  private route: Route | undefined
  private received: Body | undefined
  private discarded = 0
  /**
   * Set once a body of undeclared length has grown too large: the reply when its end, or too much
   * of it, is seen.
   */
  private refusal: HttpReply | undefined
  private parsedQuery: URLSearchParams | undefined
  private aborter: AbortController | undefined
  private isGone = false
  /** The reply is chosen, whether it is written yet or not. */
  private isAnswered = false
  private stream: ReplyStream | undefined

  constructor(context: ExchangeContext, native: NativeResponse, request: NativeRequest) {
    native.onAborted(() => this.abort())
    this.context = context
    this.native = native
    this.method = request.getCaseSensitiveMethod()
    this.path = request.getUrl()
    this.queryText = request.getQuery() ?? ''
    const headers = new Map<string, string>()
    request.forEach((name, value) => {
      const earlier = headers.get(name)
      headers.set(name, earlier === undefined ? value : `${earlier}, ${value}`)
    })
    this.headers = headers
    context.open.add(this)
    this.begin()
  }

  get query(): URLSearchParams {
    return (this.parsedQuery ??= new URLSearchParams(this.queryText))
  }

  get signal(): AbortSignal {
    this.aborter ??= new AbortController()
    if (this.isGone) this.aborter.abort()
    return this.aborter.signal
  }

  header(name: string): string {
    return this.headers.get(name) ?? ''
  }

  keepBody(): KeptBody {
    assert(this.received, 'a body that is whole, before handle() returns')
    return this.received.keep()
  }

  /** The server stops: a stream without an end of its own gets one. */
  stopEndless(): void {
    if (!this.stream?.isEndless) return
    this.aborter?.abort()
    this.stream.stop()
  }

  /** The body did not arrive in time. */
  expire(): void {
    this.reply(this.refusal ?? tooSlow(this.context.bodyDeadlineMs), 'force')
  }

  private begin(): void {
    const framing = framingOf(this.headers)
    if (typeof framing === 'object') {
      this.reply(problem(framing.status, 'Invalid request', framing.fault), 'force')
      return
    }
    const unread: Ending = framing === 'chunked' || framing > discardBytesMax ? 'force' : 'keep'
    const found = this.context.router.find(this.method, this.path)
    if (found.kind !== 'route') {
      this.reply(unrouted(found, this.method, this.path), unread)
      return
    }
    this.route = found.route
    this.parameters = found.parameters
    const { source } = this.context
    const refusal = refusalOf(found.route, this.headers, framing, source.bytesMax)
    if (refusal) {
      const isTooLarge = refusal.status === 413 && unread === 'keep'
      this.reply(refusal, isTooLarge ? 'announce' : unread)
    } else if (found.route.method === 'GET') {
      this.handle(noBody, unread)
    } else {
      this.receive(framing === 'chunked' ? undefined : framing, unread)
    }
  }

  private receive(declared: number | undefined, unread: Ending): void {
    this.contentType = mediaTypeOf(this.header('content-type')).type
    const received = Body.open(this.context.source, declared)
    if (received === undefined) {
      this.reply(overloaded, unread)
      return
    }
    this.received = received
    this.context.deadlines.begin(this)
    const noRoom = declared === undefined ? undefined : unread
    this.native?.onData((chunk, isLast) => this.take(received, chunk, isLast, noRoom))
  }

  /** @param noRoom how to end when there is none; undefined where it is unknown what is to come */
  private take(
    received: Body,
    chunk: ArrayBuffer,
    isLast: boolean,
    noRoom: Ending | undefined,
  ): void {
    if (this.native === undefined || this.isAnswered) return
    if (this.refusal) {
      this.discarded += chunk.byteLength
      if (isLast) this.reply(this.refusal, 'announce')
      else if (this.discarded > discardBytesMax) this.reply(this.refusal, 'force')
      return
    }
    switch (received.append(new Uint8Array(chunk), isLast)) {
      case 'partial':
        return
      case 'whole':
        this.context.deadlines.end(this)
        this.handle(received.whole, 'keep')
        return
      case 'overflow':
        this.refuseRest(tooLarge(this.context.source.bytesMax, 'more'), isLast)
        return
      case 'no-room':
        // What is left of a declared length is read and thrown away, as if it had been refused with
        // its head.
        if (noRoom !== undefined) this.reply(overloaded, noRoom)
        else this.refuseRest(overloaded, isLast)
    }
  }

  private refuseRest(refusal: HttpReply, isLast: boolean): void {
    if (isLast) this.reply(refusal, 'announce')
    else this.refusal = refusal
  }

  private handle(body: Uint8Array, ending: Ending): void {
    const { route } = this
    if (route === undefined) return
    this.body = body
    let reply: HttpReply | Promise<HttpReply>
    try {
      reply = route.handle(this)
    } catch (error) {
      reply = this.failure(error)
    } finally {
      this.body = noBody
      this.received?.release()
    }
    if (!(reply instanceof Promise)) {
      this.reply(reply, ending)
      return
    }
    reply.then(
      (late) => this.reply(late, ending),
      (error: unknown) => this.reply(this.failure(error), ending),
    )
  }

  private failure(error: unknown): WholeReply {
    if (!isExpected(error)) {
      const { method, path } = this
      this.context.logger.error({ err: error, method, path }, 'request failed')
    }
    return problemFor(error)
  }

  private reply(reply: HttpReply, wanted: Ending): void {
    if (this.native === undefined || this.isAnswered) return
    this.isAnswered = true
    if (isWhole(reply)) this.replyWhole(reply, wanted)
    else if (wanted === 'keep') void this.writeStream(reply, reply.body as Stream)
    else this.replyWhole(unreadBeforeStream, wanted)
  }

  private replyWhole(reply: WholeReply, wanted: Ending): void {
    const ending = reply.close || (this.context.isStopping && wanted === 'keep') ? 'force' : wanted
    if (ending !== 'force') {
      this.writeWhole(reply, ending)
      return
    }
    // Not before the parser is done with what it has: it would go on to read what follows as the
    // next request, on a connection that is closed exactly because that must not happen. As long
    // as there is no answer it cuts the connection instead.
    setImmediate(() => this.writeWhole(reply, ending))
  }

  private writeWhole(reply: WholeReply, ending: Ending): void {
    const native = this.leave()
    if (native === undefined) return
    const { body } = reply
    const hasBody = reply.status !== 204 && reply.status !== 304
    native.cork(() => {
      this.writeHead(native, reply)
      if (ending === 'announce') native.writeHeader('Connection', 'close')
      if (hasBody && this.method !== 'HEAD') {
        native.end(body, ending === 'force')
        return
      }
      // Told the length, endWithoutBody() waits for a body of that length for ever; told nothing,
      // it cannot be told to close either, and leaves that to the client.
      if (ending === 'force') native.writeHeader('Connection', 'close')
      if (hasBody) native.writeHeader('Content-Length', String(Buffer.byteLength(body)))
      native.endWithoutBody()
    })
  }

  /**
   * The connection is always kept: asked to close it, uWebSockets.js writes that header where it
   * is, at the end of the body. A server that stops closes all of them when it is done.
   */
  private async writeStream(reply: HttpReply, body: Stream): Promise<void> {
    if (this.method === 'HEAD') {
      this.writeHeadOfStream(reply)
      return
    }
    const { logger, streams, isStopping } = this.context
    const { path } = this
    const isEndless = reply.isEndless ?? false
    const onFailure = (error: unknown): void =>
      logger.warn({ err: error, path }, 'a stream that was ended failed to clean up')
    const stream = new ReplyStream(body, { streams, path, isEndless, onFailure })
    if (!stream.begin()) {
      this.replyWhole(tooManyStreams, 'keep')
      return
    }
    this.stream = stream
    if (isStopping && isEndless) stream.stop()
    let isBegun = false
    try {
      const first = await stream.next()
      const { native } = this
      if (native === undefined) return
      isBegun = true
      native.cork(() => this.writeHead(native, reply))
      if (!(await stream.send(native, first))) return
      this.leave()
      native.cork(() => native.end('', false))
    } catch (error) {
      stream.leave()
      this.breakOff(error, isBegun)
    }
  }

  /** What was sent must not pass for the whole; what was not, can still be an error. */
  private breakOff(error: unknown, isBegun: boolean): void {
    if (this.native === undefined) return
    if (!isBegun) {
      this.replyWhole(this.failure(error), 'keep')
      return
    }
    const { path } = this
    const level = isExpected(error) ? 'warn' : 'error'
    this.context.logger[level]({ err: error, path }, 'a stream failed, its connection is cut')
    this.native.close()
  }

  private writeHead(native: NativeResponse, reply: HttpReply): void {
    metrics.requests.inc({ route: this.route?.path ?? 'none', status: reply.status })
    const { status, contentType, headers = noHeaders } = reply
    native.writeStatus(`${status} ${STATUS_CODES[status] ?? 'Unknown'}`)
    if (contentType !== '') native.writeHeader('Content-Type', contentType)
    if (!('Cache-Control' in headers)) native.writeHeader('Cache-Control', 'no-store')
    native.writeHeader('X-Content-Type-Options', 'nosniff')
    for (const [name, value] of Object.entries(headers)) native.writeHeader(name, value)
  }

  private writeHeadOfStream(reply: HttpReply): void {
    const native = this.leave()
    native?.cork(() => {
      this.writeHead(native, reply)
      native.writeHeader('Transfer-Encoding', 'chunked')
      native.endWithoutBody()
    })
  }

  private abort(): void {
    this.isGone = true
    this.leave()
    this.aborter?.abort()
    this.stream?.abandon()
  }

  /** Ends the exchange; returns the response object if it was not over yet. */
  private leave(): NativeResponse | undefined {
    const { native } = this
    this.native = undefined
    this.received?.release()
    this.context.deadlines.end(this)
    this.context.open.delete(this)
    if (this.context.open.size === 0) this.context.onIdle()
    return native
  }
}
