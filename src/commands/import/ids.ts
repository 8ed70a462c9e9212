// Ids for lines that have none: the same line always gets the same id, so that whoever imports a
// file twice, wholly or from the middle, adds nothing.
// In:  a namespace, the number of a line.
// Out: UUIDs of version 8.
// Absent: time: such ids go to the tables' default leaf, slower but never wrong.

import { createHash } from 'node:crypto'

/*
 * UUIDv8 => the first 16 bytes of SHA-256( "transaction-ledger import v1" LF namespace LF number ),
 * with version and variant as RFC 9562 wants them.
 */
export function lineId(namespace: string, line: number): string {
  const text = `transaction-ledger import v1\n${namespace}\n${line}`
  const bytes = createHash('sha256').update(text).digest()
  bytes[6] = (bytes[6] & 0x0f) | 0x80
  bytes[8] = (bytes[8] & 0x3f) | 0x80
  const hex = bytes.toString('hex', 0, 16)
  const parts = [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20)]
  return [...parts, hex.slice(20)].join('-')
}
