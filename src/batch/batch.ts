// The transactions of one request, as canonical wire bytes with their partitions. Allocated once
// and reused.
// In:  what parse-json.ts and parse-protobuf.ts write.
// Out: what ingress copies into slabs, and the query role looks up.
// Absent: HTTP, the log.

import { requestItemsMax } from '../limits.ts'
import { entryBytes } from '../record/layout.ts'

/** A request that was decoded, wherever its bytes are. */
export interface Batch {
  readonly count: number
  readonly entries: Uint8Array
  readonly partitions: Uint8Array
}

export class RequestBatch implements Batch {
  /** Transactions in this request; 1 to requestItemsMax after a successful parse. */
  count = 0
  /** `count` canonical entries of entryBytes each, in the order of the request. */
  readonly entries = new Uint8Array(requestItemsMax * entryBytes)
  /** Partition of each entry. */
  readonly partitions = new Uint8Array(requestItemsMax)
  /** Indexes of items that are the very same as an earlier one, ascending. */
  repeats: Uint16Array = new Uint16Array(0)
}

/**
 * Why a body was refused: where, what was expected and what was found.
 *
 * `index` is the item's position in the batch and `field` the name of the member, where the fault
 * lies within one.
 */
export interface RequestFault {
  index?: number
  field?: 'id' | 'account_id' | 'amount'
  /** Byte offset into the body, for faults of syntax. */
  position?: number
  /** Of an id whose amounts do not balance, and their sum. */
  id?: string
  sum?: string
  expected: string
  found: string
}
