// PostgreSQL's binary COPY format, as far as the ledger's rows need it, read as strictly as
// PostgreSQL does.
// In:  the bytes of a COPY.
// Out: rows; an error where PostgreSQL would have one.
// Absent: anything of the program's own that writes it.

import { postgresError } from './errors.ts'

export interface CopiedRow {
  key: string
  amount: bigint
  createdAt: number
}

const signature = Buffer.from('PGCOPY\n\xff\r\n\0', 'latin1')

export function readCopy(buffers: readonly Uint8Array[]): CopiedRow[] {
  const bytes = Buffer.concat(buffers)
  const header = bytes.subarray(0, signature.length)
  if (!header.equals(signature) || bytes.readInt32BE(11) !== 0 || bytes.readInt32BE(15) !== 0) {
    throw postgresError('22P04', 'COPY file signature not recognized')
  }
  const rows: CopiedRow[] = []
  let at = 19
  const field = (length: number): number => {
    if (bytes.readInt32BE(at) !== length)
      throw postgresError('22P03', 'incorrect binary data format')
    at += 4 + length
    return at - length
  }
  for (;;) {
    const fields = bytes.readInt16BE(at)
    at += 2
    if (fields === -1) break
    if (fields !== 4) throw postgresError('22P04', `row field count is ${fields}, expected 4`)
    const account = field(16)
    const id = field(16)
    const key =
      bytes.toString('latin1', account, account + 16) + bytes.toString('latin1', id, id + 16)
    const amount = bytes.readBigInt64BE(field(8))
    rows.push({ key, amount, createdAt: Number(bytes.readBigInt64BE(field(8))) })
  }
  if (at !== bytes.length) throw postgresError('22P04', 'received copy data after EOF marker')
  return rows
}
