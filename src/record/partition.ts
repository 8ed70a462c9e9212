// Which log partition, and which table bucket, an account belongs to.
// In:  the 16 bytes of account_id.
// Out: a number below partitionCount, or below the number of buckets.
// Absent: any choice. PostgreSQL's hash partitioning decides; bytes/hash64.ts repeats it.

import { hashUuid } from '../bytes/hash64.ts'
import { partitionCount } from './layout.ts'

/** Partition of the account whose 16 bytes stand at `at`. */
export function partitionOf(bytes: DataView, at: number): number {
  const hash = hashUuid(
    bytes.getInt32(at, true),
    bytes.getInt32(at + 4, true),
    bytes.getInt32(at + 8, true),
    bytes.getInt32(at + 12, true),
  )
  return hash & (partitionCount - 1)
}

/** Bucket of a partition: `buckets` is a power of two, at most partitionCount. */
export function bucketOf(partition: number, buckets: number): number {
  return partition & (buckets - 1)
}
