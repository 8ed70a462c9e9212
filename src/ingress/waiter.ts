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
  /** Offsets by partition, then times: one allocation, as it is most of what a request costs. */
  private readonly places = new Float64Array(2 * partitionCount).fill(-1)
  private resolve!: (records: RequestRecords) => void
  private reject!: (error: unknown) => void

  constructor() {
    this.settled = new Promise((resolve, reject) => {
      this.resolve = resolve
      this.reject = reject
    })
  }

  get offsets(): Float64Array {
    return this.places.subarray(0, partitionCount)
  }

  get times(): Float64Array {
    return this.places.subarray(partitionCount)
  }

  /**
   * A record of `partition` is durable. Records of one partition may become so in any order.
   * Returns whether that settles the request.
   */
  gain(partition: number, offset: Offset, time: number): boolean {
    const { places } = this
    const timeAt = partitionCount + partition
    if (offset > places[partition]) places[partition] = offset
    if (places[timeAt] < 0 || time < places[timeAt]) places[timeAt] = time
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
