// Files of an archive: the entries of one leaf, as PostgreSQL itself can read them.
// In:  a leaf; a path.
// Out: a file that is on disk, under its name only once it is whole; what a file holds.
// Absent: which files belong together (manifest.ts), when entries are dropped (ledger/archive.ts).

/*
 * File    => gzip(COPY)
 * COPY    => header[19] Row* FF FF                       COPY … (FORMAT binary), without flags
 * Row     => INT16 4, INT32 16 account_id[16], INT32 16 id[16], INT32 8 INT64 amount,
 *            INT32 8 INT64 created_at                    microseconds since 2000-01-01 UTC
 *
 * Rows ascend by (account_id, id), each key once, so that equal content is equal bytes. Without
 * this program: gunzip -c FILE | psql -c 'COPY t (account_id, id, amount, created_at) FROM STDIN
 * binary'.
 */

import { createHash } from 'node:crypto'
import { createReadStream, createWriteStream } from 'node:fs'
import { open, rename, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { Transform } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { createGunzip, createGzip } from 'node:zlib'
import { LedgerError, messageOf } from '../../errors.ts'
import type { Connection } from '../../postgres/connection.ts'
import { copyInStream, copyOutStream } from '../../postgres/copy-streams.ts'
import { databaseError } from '../../postgres/retry.ts'
import { crashPoint } from '../../testing/crash.ts'
import { RowReader, type RowSums } from './rows.ts'

export const columns = 'account_id, id, amount, created_at'

/** What a file holds, and how it may be told from any other. */
export interface LeafContent extends RowSums {
  bytes: number
  sha256: string
  contentBytes: number
  contentSha256: string
}

function sortedRows(table: string): string {
  return `SELECT ${columns} FROM ${table} ORDER BY account_id, id`
}

/** Resolves once the file is on disk under its name. */
export async function writeLeafFile(
  connection: Connection,
  table: string,
  path: string,
): Promise<void> {
  const part = `${path}.part`
  try {
    const rows = copyOutStream(connection, sortedRows(table))
    await pipeline(rows, createGzip({ level: 6 }), createWriteStream(part))
  } catch (error) {
    if (connection.lost !== undefined) throw connection.lost
    const mapped = databaseError(error, connection.where)
    throw mapped instanceof LedgerError ? mapped : fileError(path, error)
  }
  await syncFile(part)
  await rename(part, path)
  await syncFile(dirname(path))
  crashPoint('after-archive-file')
}

/** Has the disk keep a file, or which files a directory has. */
export async function syncFile(path: string): Promise<void> {
  const file = await open(path, 'r')
  try {
    await file.sync()
  } finally {
    await file.close()
  }
}

function fileError(path: string, cause: unknown): LedgerError {
  return new LedgerError('DATABASE_UNAVAILABLE', `${path}: ${messageOf(cause)}.`, { cause })
}

/** A stream that shows what passes to somebody. */
function shown(to: (chunk: Buffer) => void): Transform {
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      to(chunk)
      done(null, chunk)
    },
  })
}

/** Reads a file from end to end. Rejects where it is not what this room writes. */
export async function inspectLeafFile(path: string): Promise<LeafContent> {
  const [own, content] = [createHash('sha256'), createHash('sha256')]
  const rows = new RowReader()
  let contentBytes = 0
  try {
    await pipeline(
      createReadStream(path),
      shown((chunk) => own.update(chunk)),
      createGunzip(),
      async (source: AsyncIterable<Buffer>) => {
        for await (const chunk of source) {
          content.update(chunk)
          contentBytes += chunk.length
          rows.read(chunk)
        }
      },
    )
    const sums = rows.end()
    const { size } = await stat(path)
    const digests = { sha256: own.digest('hex'), contentSha256: content.digest('hex') }
    return { ...sums, bytes: size, contentBytes, ...digests }
  } catch (error) {
    const message = `${path}: expected a leaf as archive writes it, found: ${messageOf(error)}.`
    throw new LedgerError('CONFIG_INVALID', message, { cause: error })
  }
}

/** Fills an empty table, and reads it again to see that it holds the very bytes of the file. */
export async function loadLeafFile(
  connection: Connection,
  table: string,
  path: string,
  expected: Pick<LeafContent, 'entries' | 'contentSha256'>,
): Promise<void> {
  const content = createReadStream(path).pipe(createGunzip())
  const target = `${table} (${columns})`
  const taken = await copyInStream(connection, target, content as AsyncIterable<Buffer>)
  const digest = createHash('sha256')
  const rows = copyOutStream(connection, sortedRows(table))
  for await (const chunk of rows as AsyncIterable<Buffer>) digest.update(chunk)
  const found = digest.digest('hex')
  if (found === expected.contentSha256) return
  throw new LedgerError(
    'CONFIG_INVALID',
    `${table}: expected ${expected.entries} rows with SHA-256 ${expected.contentSha256}, as ` +
      `${path} holds, found ${taken} with ${found}.`,
  )
}
