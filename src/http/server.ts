// The HTTP server: the only file that loads uWebSockets.js.
// In:  routes, an address, limits.
// Out: a listening server that can stop listening and close.
// Absent: what the routes do; how one request is answered (exchange.ts).

/*
 * What uWebSockets.js does by itself, and this program relies on (server.test.ts holds it to that):
 *
 * - A connection without a whole head is cut 8 to 12 s after it was opened or after the last reply,
 *   however many bytes trickle in. So is one that sends a body at less than 16 kB/s, unless our own
 *   deadline is shorter and answers 408.
 * - Heads are bounded, to 100 headers among other things; garbage gets a 4xx or 505 in HTML and the
 *   connection closed.
 * - `Expect: 100-continue` is answered as soon as the head is there.
 * - A client that takes nothing of what was written for it is cut after 8 to 12 s.
 * - A head in which readers could disagree what a header is (a space before the colon, a folded
 *   line, a bare CR or LF, a zero byte) is never read, and its connection cut after the same time.
 *   Only a header without a name passes: what stands behind it is seen neither by uWebSockets.js
 *   nor here, so that a Content-Length there does not count. Proxies refuse such a head or drop the
 *   line.
 * - A request pipelined behind one that is answered later closes the connection without any answer.
 *   Contract point 3 covers it: clients send the same ids again.
 */

import { createServer } from 'node:net'
import type { TemplatedApp, us_listen_socket as ListenSocket } from 'uWebSockets.js'
import { LedgerError, messageOf } from '../errors.ts'
import { streamsMax, streamStallMs } from '../limits.ts'
import type { Logger } from '../observe/logger.ts'
import { BufferPool } from './body.ts'
import type { ByteBudget } from './budget.ts'
import { Deadlines } from './deadlines.ts'
import { Exchange, type ExchangeContext } from './exchange.ts'
import type { Route } from './http.ts'
import { Router } from './router.ts'

export interface Address {
  host: string
  /** 0 takes a free one. */
  port: number
}

export interface HttpServerOptions {
  listen: Address
  routes: readonly Route[]
  limits: {
    bodyBytesMax: number
    /** From the end of the head to the end of the body. */
    bodyDeadlineMs: number
    streamsMax?: number
    /** How long the client of a stream may take nothing of what is there for it. */
    streamStallMs?: number
  }
  /** Bodies are kept in memory that threads can share. */
  sharesBodies?: boolean
  /** Shared with whoever else holds bytes of requests under way. */
  budget: ByteBudget
  logger: Logger
}

export interface HttpServer {
  /** `host:port` as bound. */
  readonly address: string
  readonly port: number
  /** Takes no new connection; those that are open get their answers and are closed with them. */
  stopListening(): void
  /**
   * Resolves when every request under way is answered, or the signal is aborted; then closes all
   * connections.
   */
  close(signal: AbortSignal): Promise<void>
}

type Native = typeof import('uWebSockets.js')

/** The declarations lack the overload with host and options. */
type Listen = (
  host: string,
  port: number,
  options: number,
  callback: (socket: ListenSocket | false) => void,
) => void

/**
 * Without it a second process may listen on the same port, and the kernel deals connections out to
 * both.
 */
const exclusivePort = 1

/** @throws LedgerError LISTEN_FAILED, DEPENDENCY_MISSING */
export async function startHttpServer(options: HttpServerOptions): Promise<HttpServer> {
  const native = await load()
  const { limits, budget, listen, logger } = options
  const stallMs = limits.streamStallMs ?? streamStallMs
  const context: ExchangeContext = {
    router: new Router(options.routes),
    source: { pool: new BufferPool(options.sharesBodies), budget, bytesMax: limits.bodyBytesMax },
    deadlines: new Deadlines(limits.bodyDeadlineMs, (exchange) => exchange.expire()),
    bodyDeadlineMs: limits.bodyDeadlineMs,
    streams: {
      open: new Set(),
      max: limits.streamsMax ?? streamsMax,
      stalls: new Deadlines(stallMs, (stream) => {
        const { path } = stream
        logger.warn({ path, stallMs }, 'a client takes nothing of its stream and is cut')
        stream.cut()
      }),
    },
    logger,
    open: new Set(),
    onIdle: () => undefined,
    isStopping: false,
  }
  const app = native.App()
  app.any('/*', (response, request) => {
    new Exchange(context, response, request)
  })
  let socket: ListenSocket | undefined
  try {
    socket = await bind(app, listen)
  } catch (error) {
    context.deadlines.stop()
    context.streams.stalls.stop()
    throw error
  }
  const port = native.us_socket_local_port(socket)
  const host = listen.host.includes(':') ? `[${listen.host}]` : listen.host
  const routes = options.routes.map(({ method, path }) => `${method} ${path}`)
  options.logger.debug({ listen: `${host}:${port}`, routes }, 'listening')

  const stopListening = (): void => {
    context.isStopping = true
    for (const exchange of context.open) exchange.stopEndless()
    if (socket) native.us_listen_socket_close(socket)
    socket = undefined
  }
  const close = async (signal: AbortSignal): Promise<void> => {
    stopListening()
    if (context.open.size > 0) await idle(context, signal)
    // Out of the callback that gave the last answer, whose bytes uWebSockets.js writes when it
    // returns.
    await new Promise((resolve) => setImmediate(resolve))
    app.close()
    context.deadlines.stop()
    context.streams.stalls.stop()
  }
  return { address: `${host}:${port}`, port, stopListening, close }
}

/**
 * Tells early, before anything is started that takes time, that the address cannot be listened on.
 *
 * @throws LedgerError LISTEN_FAILED
 */
export async function assertAddressFree({ host, port }: Address): Promise<void> {
  const reason = await whyNot(host, port)
  if (reason !== undefined) throw listenFailed({ host, port }, reason)
}

async function load(): Promise<Native> {
  try {
    const module = (await import('uWebSockets.js')) as Native & { default?: Native }
    return module.default ?? module
  } catch (cause) {
    const message = `The HTTP server cannot be loaded: ${messageOf(cause)}`
    throw new LedgerError('DEPENDENCY_MISSING', message, { cause })
  }
}

async function bind(app: TemplatedApp, { host, port }: Address): Promise<ListenSocket> {
  const socket = await new Promise<ListenSocket | false>((resolve) => {
    const listen = app.listen.bind(app) as unknown as Listen
    listen(host, port, exclusivePort, resolve)
  })
  if (socket !== false) return socket
  const reason = await whyNot(host, port)
  throw listenFailed({ host, port }, reason ?? 'it was in use a moment ago')
}

function listenFailed({ host, port }: Address, reason: string): LedgerError {
  const expected = 'expected an address that is free'
  const message = `--listen ${host}:${port}: ${expected}, found that ${reason}.`
  return new LedgerError('LISTEN_FAILED', message)
}

const reasons: Readonly<Record<string, string>> = {
  EADDRINUSE: 'it is already in use by another program',
  EADDRNOTAVAIL: 'this machine does not have that address',
  EACCES: 'this user may not listen on that port',
  ENOTFOUND: 'the name of the host cannot be resolved',
}

/** uWebSockets.js says only that it failed; the same attempt through Node says why. */
function whyNot(host: string, port: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', (error: NodeJS.ErrnoException) => {
      resolve(reasons[error.code ?? ''] ?? `it cannot be bound (${error.message})`)
    })
    server.listen({ host, port, exclusive: true }, () => {
      server.close(() => resolve(undefined))
    })
  })
}

/** Resolves when no exchange is open, or the signal is aborted. */
function idle(context: ExchangeContext, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    context.onIdle = resolve
    if (signal.aborted) resolve()
    signal.addEventListener('abort', () => resolve(), { once: true })
  })
}
