// What a worker knows of the keys in one bucket's open leaves.
// In:  the entries of a flush, one after the other.
// Out: which of them may repeat a key of an open leaf; how far the ids have come.
// Absent: opening and sealing (open-buckets.ts), keys of sealed leaves, which PostgreSQL knows.

import type { IdSpan } from '../ledger/open-leaves.ts'
import { idAt } from '../record/layout.ts'
import type { KeySet } from './key-set.ts'

export interface OpenLeaf extends IdSpan {
  /** Qualified name of the table. */
  table: string
  keys: KeySet
  /** When it was opened, by performance.now(). */
  openedAt: number
}

export class BucketKeys {
  /** Ascending by span; spans do not overlap. */
  leaves: OpenLeaf[] = []
  /** Newest time of an id seen, in milliseconds since 1970 UTC; none beyond `newestMax`. */
  newest = 0
  /** Ids from the future say nothing about where the others have come to. */
  newestMax = 0

  /** An open leaf got more rows than can be remembered: it takes no more without its key. */
  mustSeal = false

  get isOpen(): boolean {
    return this.leaves.length > 0
  }

  /**
   * Takes note of the entry at `position`; true if its key may have been written to an open leaf
   * before.
   */
  see(view: DataView, position: number): boolean {
    // The first 48 bits, where UUIDv7 has its time; any other id is compared all the same.
    const time = view.getUint32(position + idAt) * 0x10000 + view.getUint16(position + idAt + 4)
    if (time > this.newest && time <= this.newestMax) this.newest = time
    for (const { from, to, keys } of this.leaves) {
      if (time < from || time >= to) continue
      if (!keys.isFull) return keys.add(view, position)
      this.mustSeal = true
    }
    return false
  }
}
