// One request that waits for its records to become durable.
// In:  each record with one of its entries, as it settles.
// Out: the promise of the request, once.
// Absent: anything per transaction.

import type { Offset } from '../log/log.ts'
import type { RequestRecords } from '../receipt/receipt.ts'
import { partitionCount } from '../record/layout.ts'

export class Waiter implements RequestRecords {
  /** Records that hold entries of this request and have not settled. */
  outstanding = 0
  readonly settled: Promise<RequestRecords>
  readonly offsets = new Float64Array(partitionCount).fill(-1)
  readonly times = new Float64Array(partitionCount).fill(-1)
  private resolve!: (records: RequestRecords) => void
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
  gain(partition: number, offset: Offset, time: number): boolean {
    const { offsets, times } = this
    if (offset > offsets[partition]) offsets[partition] = offset
    if (times[partition] < 0 || time < times[partition]) times[partition] = time
    this.outstanding -= 1
    if (this.outstanding > 0) return false
    this.resolve(this)
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
