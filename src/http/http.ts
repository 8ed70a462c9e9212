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
  /** Aborted when the client goes away. */
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

export interface HttpReply {
  status: number
  /** Without Content-Length and Date, which the server writes. */
  headers?: Readonly<Record<string, string>>
  contentType: string
  body: string | Uint8Array
  /** Close the connection after this reply. */
  close?: boolean
}

export interface Route {
  method: 'GET' | 'POST'
  /** e.g. `/v1/accounts/{account_id}/transactions` */
  path: string
  /** Media types a POST body may have. */
  accepts?: readonly string[]
  /** Media type of a successful reply, for the check of `Accept`; application/json unless given. */
  produces?: string
  /** Further request headers the handler reads, lower case. */
  headers?: readonly string[]
  /**
   * May reject with LedgerError (mapped to a problem document) or any other error (500, logged).
   */
  handle(request: HttpRequest): Promise<HttpReply> | HttpReply
}
