// In which buckets rows have lately come that were in the ledger already, so that it is worth while
// to remember keys and to look up what is doubtful.
// In:  which buckets a flush found repetitions in.
// Out: a guess for the next flush.
// Absent: correctness: a wrong guess costs time, in either direction.

/**
 * Flushes without a repetition after which a bucket is trusted again; doubles each time that was
 * wrong.
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

  saw(flushed: readonly { bucket: number }[], repeatingBuckets: readonly number[]): void {
    for (const { bucket } of flushed) {
      const wasExpected = this.remaining[bucket] > 0
      if (repeatingBuckets.includes(bucket)) {
        const doubled = Math.min(mostFlushes, Math.max(leastFlushes, this.lastTerm[bucket] * 2))
        if (!wasExpected) this.lastTerm[bucket] = doubled
        this.remaining[bucket] = this.lastTerm[bucket]
      } else if (wasExpected) {
        this.remaining[bucket]--
      } else {
        this.lastTerm[bucket] = 0
      }
    }
  }
}
