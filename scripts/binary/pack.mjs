// Packs the files of a part into one asset of the executable.
// In:  files.
// Out: bytes, and a table that says where each file lies in them (src/artifact/executable.ts).
// Absent: unpacking (src/artifact/cache.ts).

import { createHash } from 'node:crypto'
import fs from 'node:fs'
import { brotliCompressSync, constants } from 'node:zlib'

/**
 * Each file is packed by itself, so that unpacking never holds more than the largest of them.
 *
 * A higher quality takes ten times as long for a twentieth less.
 */
export function pack({ name, files }) {
  const chunks = []
  const hash = createHash('sha256')
  const table = []
  let end = 0
  for (const { path, source, mode } of files) {
    const bytes = fs.readFileSync(source)
    const brotli = brotliCompressSync(bytes, {
      params: {
        [constants.BROTLI_PARAM_QUALITY]: 5,
        [constants.BROTLI_PARAM_LGWIN]: constants.BROTLI_MAX_WINDOW_BITS,
        [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length,
      },
    })
    const packed = brotli.length < bytes.length
    const chunk = packed ? brotli : bytes
    const start = end
    end += chunk.length
    chunks.push(chunk)
    table.push({ path, mode, bytes: bytes.length, start, end, packed })
    hash.update(`${path}\0${mode}\0${bytes.length}\0`).update(bytes)
  }
  const archive = { name, hash: hash.digest('hex'), files: table }
  return { archive, content: Buffer.concat(chunks, end) }
}
