// Ledger rows for tests of the tables, as binary COPY data written the plain way.
// In:  entries as objects.
// Out: BucketRows, sorted as a worker would.
// Absent: speed, and any code of the worker that does the same fast.

import type { BucketRows } from '../ledger/flush.ts'
import { partitionOf } from '../record/partition.ts'

export interface Entry {
  accountId: string
  id: string
  amount: bigint
  /** Milliseconds since 1970 UTC. */
  createdAt: number
}

const header = Buffer.from('5047434f50590aff0d0a000000000000000000', 'hex')
const trailer = Buffer.from('ffff', 'hex')
const postgresEpoch = Date.UTC(2000, 0, 1)

/** A whole binary COPY of the entries, in the order given. */
export function copyData(entries: readonly Entry[]): Buffer {
  return Buffer.concat([header, ...entries.map(copyRow), trailer])
}

function copyRow({ accountId, id, amount, createdAt }: Entry): Buffer {
  const row = Buffer.alloc(66)
  row.writeInt16BE(4, 0)
  row.writeInt32BE(16, 2)
  uuidBytes(accountId).copy(row, 6)
  row.writeInt32BE(16, 22)
  uuidBytes(id).copy(row, 26)
  row.writeInt32BE(8, 42)
  row.writeBigInt64BE(amount, 46)
  row.writeInt32BE(8, 54)
  row.writeBigInt64BE(BigInt(createdAt - postgresEpoch) * 1000n, 58)
  return row
}

export function uuidBytes(text: string): Buffer {
  return Buffer.from(text.replaceAll('-', ''), 'hex')
}

function uuidText(bytes: Uint8Array): string {
  const hex = Buffer.from(bytes).toString('hex')
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')
}

/** A UUIDv7 of this instant. */
export function idAt(milliseconds: number): string {
  const bytes = crypto.getRandomValues(Buffer.alloc(16))
  bytes.writeUIntBE(milliseconds, 0, 6)
  bytes.writeUInt8(0x70 | (bytes.readUInt8(6) & 0x0f), 6)
  bytes.writeUInt8(0x80 | (bytes.readUInt8(8) & 0x3f), 8)
  return uuidText(bytes)
}

/** Log partition of an account. */
export function partitionOfAccount(accountId: string): number {
  const bytes = uuidBytes(accountId)
  return partitionOf(new DataView(bytes.buffer, bytes.byteOffset, bytes.length), 0)
}

/**
 * The rows of a flush: entries in log order become buckets sorted by key, log order kept among
 * equals.
 */
export function bucketRows(
  entries: readonly Entry[],
  buckets: number,
  mayRepeat = false,
): BucketRows[] {
  const byBucket = new Map<number, Entry[]>()
  for (const entry of entries) {
    const bucket = partitionOfAccount(entry.accountId) % buckets
    const rows = byBucket.get(bucket)
    if (rows === undefined) byBucket.set(bucket, [entry])
    else rows.push(entry)
  }
  const key = ({ accountId, id }: Entry) => accountId + id
  return [...byBucket].map(([bucket, rows]) => {
    const sorted = rows.toSorted((a, b) => (key(a) < key(b) ? -1 : key(a) > key(b) ? 1 : 0))
    const own = { copy: copyData(sorted), rows: rows.length }
    const none = { copy: copyData([]), rows: 0 }
    const [fresh, doubtful] = mayRepeat ? [none, own] : [own, none]
    return { bucket, ...fresh, doubtful, isOpen: false }
  })
}
