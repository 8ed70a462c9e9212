// COPY of whatever does not fit into memory: streams in and out.
// In:  a connection nobody else uses meanwhile; bytes as they come.
// Out: bytes as PostgreSQL sends them; the number of rows it took.
// Absent: what the bytes are.

import type { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { from as copyFrom, to as copyTo } from 'pg-copy-streams'
import type { Connection } from './connection.ts'

/** A whole binary COPY. What it fails with is the error of the stream. */
export function copyOutStream(connection: Connection, select: string): Readable {
  return connection.client.query(copyTo(`COPY (${select}) TO STDOUT (FORMAT binary)`))
}

/** Sends a whole binary COPY; resolves once PostgreSQL has confirmed it. */
export async function copyInStream(
  connection: Connection,
  target: string,
  source: AsyncIterable<Uint8Array>,
): Promise<number> {
  return connection.answer(async () => {
    const stream = connection.client.query(copyFrom(`COPY ${target} FROM STDIN (FORMAT binary)`))
    await pipeline(source, stream)
    return stream.rowCount
  })
}
