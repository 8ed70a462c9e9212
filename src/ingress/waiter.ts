// One request that waits for its records to become durable.
// In:  each record with one of its entries, as it settles.
// Out: the promise of the request, once.
// Absent: anything per transaction.

import type { Offset } from '../log/log.ts'
import { partitionCount } from '../record/layout.ts'

/**
 * By partition, the offset of the last record that holds entries of the request; -1 where there is
 * none.
 */
export type Offsets = Float64Array

export class Waiter {
  /** Records that hold entries of this request and have not settled. */
  outstanding = 0
  readonly settled: Promise<Offsets>
  private readonly offsets: Offsets = new Float64Array(partitionCount).fill(-1)
  private resolve!: (offsets: Offsets) => void
  private reject!: (error: unknown) => void

  constructor() {
    this.settled = new Promise((resolve, reject) => {
      this.resolve = resolve
      this.reject = reject
    })
  }

  /**
   * A record of `partition` is durable. Records of one partition may become so in any order.
   * Returns whether that settles the request.
   */
  gain(partition: number, offset: Offset): boolean {
    if (offset > this.offsets[partition]) this.offsets[partition] = offset
    this.outstanding -= 1
    if (this.outstanding > 0) return false
    this.resolve(this.offsets)
    return true
  }

  /**
   * A record was not confirmed: the request is not acknowledged, whatever becomes of its others.
   * Returns whether that settles the request, which the first loss does.
   */
  lose(error: unknown): boolean {
    if (this.outstanding === Infinity) return false
    this.outstanding = Infinity
    this.reject(error)
    return true
  }
}
