// Where the lines come from: a file, or standard input.
// In:  a name; what an earlier import took of it.
// Out: chunks of what was not taken yet, once it is clear that they follow what was.
// Absent: lines.

import { createHash, type Hash } from 'node:crypto'
import { createReadStream, fstatSync, openSync } from 'node:fs'
import { addAbortSignal, type Readable } from 'node:stream'
import { LedgerError, messageOf } from '../../errors.ts'

const chunkBytes = 1024 * 1024

export interface Source {
  /** Undefined where nobody knows. */
  totalBytes: number | undefined
  /** Rejects when the signal is aborted. */
  open(signal: AbortSignal): AsyncIterable<Buffer>
  /** SHA-256 of all of it; undefined where it can be read only once. */
  sha256(): Promise<string | undefined>
}

/** @throws LedgerError CONFIG_INVALID */
export function sourceOf(file: string): Source {
  if (file === '-') {
    return {
      totalBytes: undefined,
      open: (signal) => readable(addAbortSignal(signal, process.stdin)),
      sha256: async () => undefined,
    }
  }
  let handle: number
  try {
    handle = openSync(file, 'r')
  } catch (error) {
    throw new LedgerError('CONFIG_INVALID', `${file}: ${messageOf(error)}`, { cause: error })
  }
  const status = fstatSync(handle)
  if (!status.isFile()) {
    throw new LedgerError('CONFIG_INVALID', `${file}: expected a file, or - for standard input.`)
  }
  const { size } = status
  const options = { fd: handle, start: 0, autoClose: false, highWaterMark: chunkBytes }
  return {
    totalBytes: size,
    open: (signal) => readable(addAbortSignal(signal, createReadStream('', options))),
    sha256: async () => {
      const hash = createHash('sha256')
      // Not what is appended meanwhile: of a file that grows this is the beginning.
      const whole = createReadStream('', { ...options, end: Math.max(size - 1, 0) })
      for await (const chunk of readable(whole)) hash.update(chunk)
      return hash.digest('hex')
    },
  }
}

function readable(stream: Readable): AsyncIterable<Buffer> {
  return stream as AsyncIterable<Buffer>
}

/**
 * What follows the bytes that were taken. Those go through the hash, and must be what they were.
 *
 * @throws LedgerError CONFIG_INVALID
 */
export async function* untaken(
  chunks: AsyncIterable<Buffer>,
  taken: { offset: number; sha256: string } | undefined,
  hash: Hash,
): AsyncGenerator<Buffer> {
  let left = taken?.offset ?? 0
  for await (const chunk of chunks) {
    if (left === 0) {
      yield chunk
      continue
    }
    const known = Math.min(left, chunk.length)
    hash.update(chunk.subarray(0, known))
    left -= known
    if (left > 0) continue
    if (hash.copy().digest('hex') !== taken?.sha256) throw changed('other bytes')
    if (known < chunk.length) yield chunk.subarray(known)
  }
  if (left > 0) throw changed('the file ends before')
}

function changed(found: string): LedgerError {
  const message = `Expected the file to begin with what was imported of it, found ${found}.`
  const hint = 'If it is another file by the same name, --restart begins at its first line.'
  return new LedgerError('CONFIG_INVALID', `${message} ${hint}`)
}
