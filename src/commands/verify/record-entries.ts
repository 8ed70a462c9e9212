// The entries of one log record, by key.
// In:  canonical entries, back to back.
// Out: runs of entries with the same key, in the order of tuples; comparisons with them.
// Absent: an object for an entry, what the entries ought to be.

import { formatUuid } from '../../bytes/uuid.ts'
import { amountAt as tupleAmountAt } from '../../ledger/chain/tuples.ts'
import { timestampMax, timestampMin } from '../../limits.ts'
import { accountIdAt, amountAt, entryBytes, idAt } from '../../record/layout.ts'
import { faultText } from '../../record/fault.ts'
import { walkRecord } from '../../record/walk.ts'
import { EntrySorter } from '../../worker/sort.ts'
import type { Key } from './texts.ts'

/** Entries with the same key, by their places in the record. */
export interface Run {
  first: number
  entries: number[]
}

/** The entries of a record, or why it is no batch, as the worker has it. */
export function decodeRecord(
  partition: number,
  { timestamp, bytes }: { timestamp: number; bytes: Uint8Array },
): RecordEntries | string {
  if (!(timestamp >= timestampMin && timestamp <= timestampMax)) {
    const expected = `a time from ${timestampMin} to ${timestampMax} ms since 1970`
    return faultText({ position: 0, expected, found: `${timestamp}` })
  }
  // Another encoding is rewritten where it stands.
  const copy = Uint8Array.from(bytes)
  const view = new DataView(copy.buffer)
  const walked = walkRecord(view, 0, copy.length, partition)
  return typeof walked === 'number' ? new RecordEntries(view, walked) : faultText(walked)
}

let sorter = new EntrySorter(4096)
let sorterCapacity = 4096

export class RecordEntries {
  readonly count: number
  readonly #view: DataView
  readonly #order: Uint32Array

  constructor(view: DataView, count: number) {
    this.#view = view
    this.count = count
    const positions = Uint32Array.from({ length: count }, (_, index) => index * entryBytes)
    this.#order = Uint32Array.from({ length: count }, (_, index) => index)
    if (count > sorterCapacity) {
      sorterCapacity = count
      sorter = new EntrySorter(count)
    }
    sorter.sort(view, positions, this.#order, 0, count)
  }

  forEach(use: (entry: number) => void): void {
    for (let entry = 0; entry < this.count; entry++) use(entry)
  }

  /** In the order of their keys; in a run, in that of the log. */
  *runs(): Generator<Run> {
    for (let at = 0; at < this.count;) {
      const first = this.#order[at]
      const entries: number[] = []
      while (at < this.count && this.#isSame(first, this.#order[at])) {
        entries.push(this.#order[at++])
      }
      yield { first, entries }
    }
  }

  key(entry: number): Key {
    const bytes = new Uint8Array(this.#view.buffer, entry * entryBytes, entryBytes)
    return { accountId: formatUuid(bytes, accountIdAt), id: formatUuid(bytes, idAt) }
  }

  amount(entry: number): bigint {
    return this.#view.getBigInt64(entry * entryBytes + amountAt, true)
  }

  /** How the key of an entry stands to that of a tuple. */
  compare(entry: number, tuple: Uint8Array): number {
    const other = new DataView(tuple.buffer, tuple.byteOffset, tuple.byteLength)
    const start = entry * entryBytes
    for (let word = 0; word < 8; word++) {
      const own = start + (word < 4 ? accountIdAt + word * 4 : idAt + (word - 4) * 4)
      const difference = this.#view.getUint32(own) - other.getUint32(word * 4)
      if (difference !== 0) return difference
    }
    return 0
  }

  /** Whether an entry has the key and the amount of a tuple. */
  has(tuple: Uint8Array): boolean {
    let [low, high] = [0, this.count]
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.compare(this.#order[middle], tuple) < 0) low = middle + 1
      else high = middle
    }
    const view = new DataView(tuple.buffer, tuple.byteOffset, tuple.byteLength)
    const amount = view.getBigInt64(tupleAmountAt)
    for (; low < this.count && this.compare(this.#order[low], tuple) === 0; low++) {
      if (this.amount(this.#order[low]) === amount) return true
    }
    return false
  }

  #isSame(left: number, right: number): boolean {
    for (let at = idAt; at < accountIdAt + 16; at += 4) {
      // Between the two ids lie the two bytes that are the same in every entry.
      if (at === idAt + 16) at += accountIdAt - idAt - 16
      const a = this.#view.getInt32(left * entryBytes + at)
      if (a !== this.#view.getInt32(right * entryBytes + at)) return false
    }
    return true
  }
}
