// HTTP as the rooms that answer requests see it: routes, requests and replies as plain data.
// In:  nothing.
// Out: types only.
// Absent: uWebSockets.js (server.ts is the only file that knows it).

/** A request, with its body complete. */
export interface HttpRequest {
  method: string
  /** Path without the query string, as sent. */
  path: string
  /**
   * Values of the `{names}` in the route's path, percent-decoded, in the order they stand there.
   */
  parameters: readonly string[]
  query: URLSearchParams
  /** Lower-case media type without parameters; '' when absent. */
  contentType: string
  /**
   * Value of a header, by lower-case name; '' when absent. Only names listed in `Route.headers` can
   * be asked for.
   */
  header(name: string): string
  /**
   * Empty for GET. Valid until `handle` returns, so before its first `await`: then the buffer takes
   * another body.
   */
  body: Uint8Array
  /**
   * Moves the body into memory that threads can share, the caller's until it releases it.
   * Before `handle` returns, and only on a server that shares bodies.
   */
  keepBody(): KeptBody
  /** Aborted when the client goes away, or when a stream it gets is ended before its time. */
  signal: AbortSignal
}

/**
 * A body that outlives the call that brought it. It counts against the byte budget all the while.
 */
export interface KeptBody {
  /** The body is at its start; the rest is free for use. */
  readonly memory: SharedArrayBuffer
  readonly length: number
  /** Gives memory and budget back; to be called once. */
  release(): void
}

/**
 * A body that is made while it is sent, in chunks of some ten kilobytes. A chunk may be overwritten
 * once the next is asked for.
 *
 * Nothing is asked of it before it is needed, and nothing at all for HEAD or when the server has
 * too many streams (503): so it must take nothing before its first chunk is asked for. The head of
 * the reply leaves with the first chunk, so an error thrown before that is answered as one of
 * `handle` is. Later ones cut the connection, lest half be taken for the whole.
 *
 * When the client goes away, or takes nothing for too long, the request's signal is aborted and
 * `return()` called, even while a chunk is awaited.
 */
export type Stream = AsyncIterable<Uint8Array>

export interface HttpReply {
  status: number
  /**
   * Without Content-Length and Date, which the server writes. `Cache-Control: no-store` is written
   * unless another is given.
   */
  headers?: Readonly<Record<string, string>>
  /** '' where there is no body. */
  contentType: string
  /**
   * A stream is sent while it is made, as fast as the client takes it.
   */
  body: string | Uint8Array | Stream
  /** Of a stream whose reader goes on elsewhere: it is ended, in order, when the server stops. */
  isEndless?: boolean
  /** Close the connection after this reply, where it is no stream. */
  close?: boolean
}

export interface WholeReply extends HttpReply {
  body: string | Uint8Array
}

export interface Route {
  method: 'GET' | 'POST'
  /** e.g. `/v1/accounts/{account_id}/transactions` */
  path: string
  /** Media types a POST body may have. */
  accepts?: readonly string[]
  /**
   * Media types of a successful reply, one of which `Accept` must admit; application/json unless
   * given.
   */
  produces?: string | readonly string[]
  /** Further request headers the handler reads, lower case. */
  headers?: readonly string[]
  /**
   * May reject with LedgerError (mapped to a problem document) or any other error (500, logged).
   */
  handle(request: HttpRequest): Promise<HttpReply> | HttpReply
}
