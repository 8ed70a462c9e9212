// The key that signs receipts, kept where the data is when the operator gives none.
// In:  the text of `--receipt-key`, or a directory.
// Out: key bytes.
// Absent: receipts (receipt.ts).

import { createHash, randomBytes } from 'node:crypto'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
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
  const path = join(directory, 'receipt.key')
  await mkdir(directory, { recursive: true })
  try {
    // Only whoever runs the program may read it; whoever comes second takes what the first has
    // written.
    await writeFile(path, randomBytes(keyBytes), { flag: 'wx', mode: 0o600, flush: true })
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
  }
  const key = await readFile(path)
  if (key.length === keyBytes) return key
  const message =
    `${path}: expected ${keyBytes} bytes, found ${key.length}. ` +
    'Without it a new one is made, and receipts given out so far are void.'
  throw new LedgerError('CONFIG_INVALID', message)
}
