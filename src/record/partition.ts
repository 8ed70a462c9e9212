// Which log partition, and which table bucket, an account belongs to.
// In:  the 16 bytes of account_id.
// Out: a number below partitionCount, or below the number of buckets.
// Absent: any choice. PostgreSQL's hash partitioning decides; bytes/hash64.ts repeats it.

import { hashUuid } from '../bytes/hash64.ts'
import { partitionCount } from './layout.ts'

/** Partition of the account whose 16 bytes stand at `at`. */
export function partitionOf(bytes: Uint8Array, at: number): number {
  const hash = hashUuid(
    word(bytes, at),
    word(bytes, at + 4),
    word(bytes, at + 8),
    word(bytes, at + 12),
  )
  return hash & (partitionCount - 1)
}

/** `partitionOf` for a caller who keeps a view of the bytes: faster, as bench/partition.mjs shows. */
export function partitionAt(bytes: DataView, at: number): number {
  const hash = hashUuid(
    bytes.getInt32(at, true),
    bytes.getInt32(at + 4, true),
    bytes.getInt32(at + 8, true),
    bytes.getInt32(at + 12, true),
  )
  return hash & (partitionCount - 1)
}

/** Four bytes as a little-endian word. */
function word(bytes: Uint8Array, at: number): number {
  const low = (bytes[at] as number) | ((bytes[at + 1] as number) << 8)
  return low | ((bytes[at + 2] as number) << 16) | ((bytes[at + 3] as number) << 24)
}

/** Bucket of a partition: `buckets` is a power of two, at most partitionCount. */
export function bucketOf(partition: number, buckets: number): number {
  return partition & (buckets - 1)
}
