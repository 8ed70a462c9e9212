// Orders the entries of a bucket by (account_id, id), as PostgreSQL's key does, keeping log order
// among equals.
// In:  positions of canonical entries in a byte array.
// Out: a permutation of their ordinals.
// Absent: moving the entries themselves, an object per entry.

import { accountIdAt, idAt } from '../record/layout.ts'

/*
 * A key is eight big-endian 32-bit words: account_id[0..3], id[0..3]. Radix passes order a range by
 * one word, from the least significant digit that differs to the most; runs that are equal in that
 * word are ordered by the next one. So random accounts cost three passes over one word, and a
 * single hot account costs a scan of four words before its ids are ordered. Both steps are stable.
 * bench/rows.mjs measures it.
 */
const wordAt = Uint8Array.of(
  accountIdAt,
  accountIdAt + 4,
  accountIdAt + 8,
  accountIdAt + 12,
  idAt,
  idAt + 4,
  idAt + 8,
  idAt + 12,
)
const wordsPerKey = wordAt.length

/** Ranges up to this length are ordered by insertion. */
const insertionMax = 24

/** From this length on, digits of 11 bits save a pass over digits of 8. */
const wideDigitsFrom = 1024

export class EntrySorter {
  private readonly keys: Uint32Array
  private readonly otherKeys: Uint32Array
  private readonly otherOrder: Uint32Array
  private readonly counts = new Uint32Array(1 << 11)

  /** @param capacity most entries in one call */
  constructor(capacity: number) {
    this.keys = new Uint32Array(capacity)
    this.otherKeys = new Uint32Array(capacity)
    this.otherOrder = new Uint32Array(capacity)
  }

  /**
   * Orders `order[from..to)`, which holds ordinals in log order; the entry of ordinal `o` begins at
   * `positions[o]`.
   */
  sort(
    view: DataView,
    positions: Uint32Array,
    order: Uint32Array,
    from: number,
    to: number,
    firstWord = 0,
  ): void {
    for (let word = firstWord; word < wordsPerKey; word++) {
      if (to - from <= insertionMax) {
        insertionSort(view, positions, order, from, to, word)
        return
      }
      const differing = this.loadKeys(view, positions, order, from, to, wordAt[word])
      if (differing === 0) continue
      this.radixSort(order, from, to, differing)
      this.sortRuns(view, positions, order, from, to, word)
      return
    }
  }

  /** Reads one word of every key; returns the bits in which they differ. */
  private loadKeys(
    view: DataView,
    positions: Uint32Array,
    order: Uint32Array,
    from: number,
    to: number,
    at: number,
  ): number {
    const first = view.getUint32(positions[order[from]] + at)
    let differing = 0
    for (let i = from; i < to; i++) {
      const key = view.getUint32(positions[order[i]] + at)
      this.keys[i] = key
      differing |= key ^ first
    }
    return differing >>> 0
  }

  private radixSort(order: Uint32Array, from: number, to: number, differing: number): void {
    const bits = to - from < wideDigitsFrom ? 8 : 11
    const mask = (1 << bits) - 1
    let keys = this.keys
    let target = this.otherKeys
    let ordinals = order
    let targetOrdinals = this.otherOrder
    for (let shift = 0; shift < 32; shift += bits) {
      if (((differing >>> shift) & mask) === 0) continue
      const counts = this.counts.fill(0, 0, mask + 1)
      for (let i = from; i < to; i++) counts[(keys[i] >>> shift) & mask]++
      let next = from
      for (let digit = 0; digit <= mask; digit++) {
        const count = counts[digit]
        counts[digit] = next
        next += count
      }
      for (let i = from; i < to; i++) {
        const key = keys[i]
        const place = counts[(key >>> shift) & mask]++
        target[place] = key
        targetOrdinals[place] = ordinals[i]
      }
      ;[keys, target] = [target, keys]
      ;[ordinals, targetOrdinals] = [targetOrdinals, ordinals]
    }
    if (ordinals !== order) {
      order.set(ordinals.subarray(from, to), from)
      this.keys.set(keys.subarray(from, to), from)
    }
  }

  /** Orders each run of equal keys by the words after `word`. */
  private sortRuns(
    view: DataView,
    positions: Uint32Array,
    order: Uint32Array,
    from: number,
    to: number,
    word: number,
  ): void {
    // Ordering a run reuses `keys` within the run only, so what lies behind it stays intact.
    let start = from
    let key = this.keys[from]
    for (let i = from + 1; i <= to; i++) {
      const here = i < to ? this.keys[i] : -1
      if (here === key) continue
      if (i - start > 1) this.sort(view, positions, order, start, i, word + 1)
      start = i
      key = here
    }
  }
}

function insertionSort(
  view: DataView,
  positions: Uint32Array,
  order: Uint32Array,
  from: number,
  to: number,
  word: number,
): void {
  for (let i = from + 1; i < to; i++) {
    const ordinal = order[i]
    const position = positions[ordinal]
    let j = i
    while (j > from && compareKeys(view, positions[order[j - 1]], position, word) > 0) {
      order[j] = order[j - 1]
      j--
    }
    order[j] = ordinal
  }
}

/** Compares two entries from one word of their keys on: negative, 0 or positive. */
export function compareKeys(view: DataView, left: number, right: number, firstWord = 0): number {
  for (let word = firstWord; word < wordsPerKey; word++) {
    const at = wordAt[word]
    const difference = view.getUint32(left + at) - view.getUint32(right + at)
    if (difference !== 0) return difference
  }
  return 0
}
