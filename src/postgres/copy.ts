// COPY … FROM STDIN.
// In:  a few large buffers.
// Out: the number of rows PostgreSQL took.
// Absent: making the buffers, what a violated constraint means.

import { from as copyFrom } from 'pg-copy-streams'
import type { Connection } from './connection.ts'

/**
 * Runs a COPY and resolves with its row count once PostgreSQL has confirmed it. `sql` may hold
 * other statements before the COPY, such as SAVEPOINT, to save a round trip.
 *
 * After a rejection some of the bytes may still be on their way; PostgreSQL drops them. They have
 * left the buffer when the next statement of this connection is answered, or the connection is
 * gone.
 */
export async function copyIn(
  connection: Connection,
  sql: string,
  buffers: readonly Uint8Array[],
): Promise<number> {
  return connection.answer(async () => {
    const stream = connection.client.query(copyFrom(connection.inSchema(sql)))
    await new Promise<void>((resolve, reject) => {
      // The listener stays: the stream may emit a second error when it is rejected in mid-sending.
      stream.on('error', reject)
      // `finish` comes after ReadyForQuery, so the rows are in.
      stream.once('finish', resolve)
      for (const buffer of buffers) stream.write(buffer)
      stream.end()
    })
    return stream.rowCount
  })
}
