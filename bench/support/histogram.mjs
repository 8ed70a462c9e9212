// Durations counted by size, so that percentiles of millions of them take a few kilobytes.
// In:  milliseconds.
// Out: percentiles that are at most 2% too large; the least and the most exactly.
// Absent: single values.

const leastMs = 0.01
const growth = Math.log(1.02)
const bucketCount = Math.ceil(Math.log(3_600_000 / leastMs) / growth)

export class Histogram {
  count = 0
  most = 0
  #counts = new Uint32Array(bucketCount + 1)

  record(ms) {
    const bucket = ms <= leastMs ? 0 : Math.ceil(Math.log(ms / leastMs) / growth)
    this.#counts[Math.min(bucket, bucketCount)]++
    this.count++
    if (ms > this.most) this.most = ms
  }

  /**
   * The least duration that this share of all does not exceed.
   *
   * @returns {number | undefined} undefined when there are too few for the share to mean anything:
   *   a p99 of 50 durations is their largest
   */
  percentile(share) {
    if (this.count === 0 || this.count * (1 - share) < 0.999) return undefined
    let left = Math.ceil(this.count * share)
    let bucket = 0
    while (left > this.#counts[bucket]) left -= this.#counts[bucket++]
    return Math.min(leastMs * Math.exp(bucket * growth), this.most)
  }

  /** p50, p99, p99.9 and the most, in milliseconds. */
  summary() {
    return {
      count: this.count,
      p50: this.percentile(0.5),
      p99: this.percentile(0.99),
      p999: this.percentile(0.999),
      most: this.count === 0 ? undefined : this.most,
    }
  }

  /** Counts by the upper end of their bucket in milliseconds. */
  buckets() {
    return [...this.#counts]
      .map((count, bucket) => ({ ms: leastMs * Math.exp(bucket * growth), count }))
      .filter(({ count }) => count > 0)
  }
}
