// What a worker knows of the keys in one bucket.
// In:  the entries of a flush, one after the other.
// Out: which of them may repeat a key: always of those in an open leaf, of others as far as it is
//      worth while; how far the ids have come.
// Absent: opening and sealing (open-buckets.ts), certainty about keys that PostgreSQL enforces.

import type { IdSpan } from '../ledger/open-leaves.ts'
import { idAt } from '../record/layout.ts'
import type { KeySet } from './key-set.ts'
import type { RecentKeys } from './recent-keys.ts'

/** How often a table had been looked into at some time, by performance.now(). */
export interface ScanCount {
  table: string
  scans: number
  at: number
}

export interface OpenLeaf extends IdSpan {
  /** Qualified name of the table. */
  table: string
  keys: KeySet
  /** When it was opened, by performance.now(). */
  openedAt: number
  /** When its scans were last counted. */
  looked?: ScanCount
}

export class BucketKeys {
  /** Ascending by span; spans do not overlap. */
  leaves: OpenLeaf[] = []
  /** Newest time of an id seen, in milliseconds since 1970 UTC; none beyond `newestMax`. */
  newest = 0
  /** Ids from the future say nothing about where the others have come to. */
  newestMax = 0

  /** While repetitions are expected. */
  recent: RecentKeys | undefined

  /** An open leaf got more rows than can be remembered: it takes no more without its key. */
  mustSeal = false

  get isOpen(): boolean {
    return this.leaves.length > 0
  }

  /**
   * Takes note of the entry at `position`; true if its key may have been written before, as far as
   * that is known: certainly if it was to an open leaf.
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
    if (this.recent === undefined) return false
    // Of ids from the future, most are not of version 7, and any of them may be old.
    return time > this.newestMax || this.recent.see(time, view, position)
  }
}
