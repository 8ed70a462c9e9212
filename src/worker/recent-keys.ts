// Remembers the keys that were lately written to a bucket, while there are repetitions in it.
// In:  canonical entries, with the times of their ids.
// Out: which of them may be in the ledger already.
// Absent: certainty: PostgreSQL looks the doubtful ones up, and says so of any other.

import type { KeySet } from './key-set.ts'

/*
 * Repetitions have ids that were seen before. So an id newer than all that were seen when we began
 * to remember is new unless we remember it, and any older one may be in the ledger. Two sets take
 * turns: when the younger is full, the older one is forgotten, and what it covered is old from then
 * on.
 */
export class RecentKeys {
  private younger: KeySet
  private older: KeySet | undefined
  /** Ids up to here may be in the ledger without our knowing. */
  private oldTo: number
  /** Newest id when the younger set was begun. */
  private youngerFrom: number

  /** @param newest time of the newest id seen so far; 0 when none was */
  constructor(set: KeySet, newest: number) {
    this.younger = set
    this.oldTo = this.youngerFrom = newest === 0 ? Infinity : newest
  }

  /** The sets, to be used for something else: it is over. */
  get sets(): KeySet[] {
    return this.older === undefined ? [this.younger] : [this.older, this.younger]
  }

  /** To be called before each flush. `spare` gives an empty set. */
  beginFlush(newest: number, spare: () => KeySet): void {
    // Nothing had been seen when we began; what the first flush had is remembered.
    if (this.oldTo === Infinity && newest > 0) this.oldTo = this.youngerFrom = newest
    if (!this.younger.isFull) return
    const next = this.older ?? spare()
    if (this.older !== undefined) this.oldTo = this.youngerFrom
    next.clear()
    this.older = this.younger
    this.younger = next
    this.youngerFrom = newest
  }

  /** Takes note of the entry at `position`; true if its key may be in the ledger. */
  see(time: number, view: DataView, position: number): boolean {
    return time <= this.oldTo || this.younger.isFull || this.younger.add(view, position, this.older)
  }
}
