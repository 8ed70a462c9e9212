// What this program uses of uWebSockets.js' objects, so that one file alone names the package.
// In:  nothing.
// Out: types only.
// Absent: everything that is not used.

/** Valid until it has answered or its client is gone; throws when touched after that. */
export interface NativeResponse {
  onAborted(callback: () => void): unknown
  /** The chunk is taken away again when the callback returns. */
  onData(callback: (chunk: ArrayBuffer, isLast: boolean) => void): unknown
  /** Everything written within the callback leaves together. */
  cork(callback: () => void): unknown
  writeStatus(status: string): unknown
  writeHeader(name: string, value: string): unknown
  /** Begins or goes on with a chunked body; false when not all of it fit into the socket. */
  write(chunk: Uint8Array): boolean
  /** Called, again and again, when all that was written has left; answers true. */
  onWritable(callback: () => boolean): unknown
  end(body: string | Uint8Array, closeConnection: boolean): unknown
  endWithoutBody(): unknown
  /** Cuts the connection. */
  close(): unknown
}

/** Valid within the callback it is handed to. */
export interface NativeRequest {
  /** As sent, if asked before anything that turns it to lower case. */
  getCaseSensitiveMethod(): string
  /** Path without the query string. */
  getUrl(): string
  /** Undefined where there is no query string. */
  getQuery(): string | undefined
  forEach(callback: (lowerCaseName: string, value: string) => void): void
}
