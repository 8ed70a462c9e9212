// The key that signs receipts, kept where the data is when the operator gives none.
// In:  the text of `--receipt-key`, or a directory.
// Out: key bytes.
// Absent: receipts (receipt.ts).

import { createHash, randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { link, mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { LedgerError } from '../errors.ts'

const keyBytes = 32

/** The key that a configured text stands for: any text will do, long random ones are better. */
export function keyFromText(text: string): Uint8Array {
  return createHash('sha256').update(text).digest()
}

/**
 * The key kept in a directory, made at random the first time.
 *
 * @throws LedgerError CONFIG_INVALID when the file is there and holds something else
 */
export async function keyInDirectory(directory: string): Promise<Uint8Array> {
  await mkdir(directory, { recursive: true })
  const path = pathIn(directory)
  if (!existsSync(path)) await makeKey(path)
  return readKey(path)
}

/** The same where there is one already; makes nothing. */
export async function keyFoundIn(directory: string): Promise<Uint8Array | undefined> {
  const path = pathIn(directory)
  return existsSync(path) ? readKey(path) : undefined
}

function pathIn(directory: string): string {
  return join(directory, 'receipt.key')
}

async function readKey(path: string): Promise<Uint8Array> {
  const key = await readFile(path)
  if (key.length === keyBytes) return key
  const message =
    `${path}: expected ${keyBytes} bytes, found ${key.length}. ` +
    'Without it a new one is made, and receipts given out so far are void.'
  throw new LedgerError('CONFIG_INVALID', message)
}

/** Only whoever runs the program may read it. It appears whole, and the first of several stays. */
async function makeKey(path: string): Promise<void> {
  const draft = `${path}.${process.pid}.${randomBytes(4).toString('hex')}`
  try {
    await writeFile(draft, randomBytes(keyBytes), { flag: 'wx', mode: 0o600, flush: true })
    await link(draft, path)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
  } finally {
    await rm(draft, { force: true })
  }
}
