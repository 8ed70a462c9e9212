// COPY … TO STDOUT in binary, of rows that are all of one length.
// In:  a connection of its own, a SELECT.
// Out: whole rows in one buffer, over and over.
// Absent: what is in a row; an object for a row; more in memory than that buffer and what the
//         socket holds: PostgreSQL waits for us, as we wait for whoever takes the rows.

import assert from 'node:assert/strict'
import { to as copyTo } from 'pg-copy-streams'
import { copyHeaderBytes, copyTrailerBytes } from '../limits.ts'
import type { Connection } from './connection.ts'
import { databaseError } from './retry.ts'

/**
 * Yields `rows` rows at a time, fewer at the end. The buffer is the same each time: what it holds
 * is gone when the next rows are asked for.
 */
export async function* copyOut(
  connection: Connection,
  select: string,
  { rowBytes, rows }: { rowBytes: number; rows: number },
): AsyncGenerator<Uint8Array> {
  const stream = connection.client.query(copyTo(`COPY (${select}) TO STDOUT (FORMAT binary)`))
  // The trailer fits behind the rows.
  const buffer = Buffer.allocUnsafe(rows * rowBytes + copyTrailerBytes)
  const full = rows * rowBytes
  let filled = 0
  let header = copyHeaderBytes
  try {
    for await (const chunk of stream as AsyncIterable<Buffer>) {
      const skipped = Math.min(header, chunk.length)
      header -= skipped
      for (let at = skipped; at < chunk.length;) {
        const end = Math.min(chunk.length, at + full - filled)
        chunk.copy(buffer, filled, at, end)
        filled += end - at
        at = end
        if (filled < full) continue
        yield buffer.subarray(0, full)
        filled = 0
      }
    }
  } catch (error) {
    throw connection.lost ?? databaseError(error, connection.where)
  }
  const rest = filled - copyTrailerBytes
  assert(rest >= 0 && rest % rowBytes === 0 && buffer.readInt16BE(rest) === -1, 'a whole COPY')
  if (rest > 0) yield buffer.subarray(0, rest)
}
