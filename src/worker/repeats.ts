// Which buckets have lately had rows that were in the ledger already, and should take the merge
// path at once.
// In:  which buckets a flush merged.
// Out: a guess for the next flush.
// Absent: correctness: a wrong guess costs time, in either direction.

import type { BucketRows } from '../ledger/flush.ts'

/**
 * Flushes a bucket merges at once after a COPY of it met a repeat; doubles each time that happens
 * again.
 */
const leastFlushes = 8
const mostFlushes = 64

export class RepeatWatch {
  private readonly remaining: Uint8Array
  private readonly lastTerm: Uint8Array

  constructor(buckets: number) {
    this.remaining = new Uint8Array(buckets)
    this.lastTerm = new Uint8Array(buckets)
  }

  expected(bucket: number): boolean {
    return this.remaining[bucket] > 0
  }

  saw(flushed: readonly BucketRows[], mergedBuckets: readonly number[]): void {
    for (const { bucket, mayRepeat } of flushed) {
      if (mayRepeat) {
        if (this.remaining[bucket] > 0) this.remaining[bucket]--
      } else if (mergedBuckets.includes(bucket)) {
        const term = Math.min(mostFlushes, Math.max(leastFlushes, this.lastTerm[bucket] * 2))
        this.remaining[bucket] = this.lastTerm[bucket] = term
      } else {
        this.lastTerm[bucket] = 0
      }
    }
  }
}
