// Turns the records of one flush into PostgreSQL binary COPY data, a piece for each bucket, sorted
// by key.
// In:  records in the ring, as canonical entries or any other encoding of the same message.
// Out: BucketRows in a slab allocated once; records that cannot be decoded, with the reason.
// Absent: an object per transaction, BigInt, SQL, offsets and checkpoints.

import {
  copyHeaderBytes,
  copyTrailerBytes,
  flushRowsMax,
  rowBytes,
  timestampMax,
  timestampMin,
} from '../limits.ts'
import type { BucketRows } from '../ledger/flush.ts'
import { accountIdAt, amountAt, entryBytes, idAt } from '../record/layout.ts'
import type { RecordFault } from '../record/fault.ts'
import { bucketOf } from '../record/partition.ts'
import { walkRecord } from '../record/walk.ts'
import type { BucketKeys } from './bucket-keys.ts'
import { createdAfter } from './created.ts'
import { compareKeys, EntrySorter } from './sort.ts'

/*
 * Copy => "PGCOPY\n\377\r\n\0"  INT32 flags 0  INT32 extension 0  Row*  INT16 -1
 * Row  => INT16 4, INT32 16 account_id, INT32 16 id, INT32 8 amount, INT32 8 created_at
 *
 * created_at counts microseconds since 2000-01-01 UTC; all numbers are big-endian.
 */
const copyHeader = Uint8Array.of(
  ...[0x50, 0x47, 0x43, 0x4f, 0x50, 0x59, 0x0a, 0xff, 0x0d, 0x0a, 0x00],
  ...[0, 0, 0, 0],
  ...[0, 0, 0, 0],
)

/** Records of one bucket that lie next to each other in log order. */
interface Run {
  bucket: number
  firstOrdinal: number
  entries: number
}

export class RowEncoder {
  private readonly view: DataView
  private readonly buckets: number
  private readonly slab = Buffer.allocUnsafeSlow(
    flushRowsMax * rowBytes + 128 * (copyHeaderBytes + copyTrailerBytes),
  )
  private readonly slabView = new DataView(this.slab.buffer)
  private readonly sorter = new EntrySorter(flushRowsMax)
  /** Where the entry of each ordinal begins in the ring; ordinals count in log order. */
  private readonly positions = new Uint32Array(flushRowsMax)
  /** created_at of each ordinal, as microseconds since 2000. */
  private readonly createdAt = new Float64Array(flushRowsMax)
  private readonly order = new Uint32Array(flushRowsMax)
  private runs: Run[] = []
  private entries = 0
  private repeated = 0
  private lastCreatedAt = -Infinity

  constructor(ring: SharedArrayBuffer, buckets: number) {
    this.view = new DataView(ring)
    this.buckets = buckets
  }

  /** Entries added since begin(). */
  get count(): number {
    return this.entries
  }

  /** Rows left out by finish() because the very same entry stands before them in the flush. */
  get repeats(): number {
    return this.repeated
  }

  /** When the rows of the record added last were created, in microseconds since 2000. */
  get created(): number {
    return this.lastCreatedAt
  }

  begin(): void {
    this.runs = []
    this.entries = 0
    this.repeated = 0
  }

  /**
   * Whether a record of this length fits, whatever it holds: no entry is shorter than a canonical
   * one.
   */
  hasRoomFor(recordLength: number): boolean {
    return this.entries + Math.floor(recordLength / entryBytes) <= flushRowsMax
  }

  /**
   * Adds the record at ring[start..start+length), rewriting it there if it is not canonical.
   * Returns how many bytes of it count from now on, or why it cannot be decoded: nothing is added
   * then.
   *
   * @param timestamp when ingress accepted it, in milliseconds since 1970 UTC
   * @param previous when the rows of the partition's record before it were created
   */
  add(
    partition: number,
    timestamp: number,
    start: number,
    length: number,
    previous = -Infinity,
  ): number | RecordFault {
    if (!(timestamp >= timestampMin && timestamp <= timestampMax)) {
      const expected = `a time from ${timestampMin} to ${timestampMax} ms since 1970`
      return { position: 0, expected, found: `${timestamp}` }
    }
    const walked = walkRecord(this.view, start, start + length, partition)
    if (typeof walked !== 'number') return walked
    const first = this.entries
    const end = first + walked
    for (let ordinal = first; ordinal < end; ordinal++) {
      this.positions[ordinal] = start + (ordinal - first) * entryBytes
    }
    this.lastCreatedAt = createdAfter(previous, timestamp)
    this.createdAt.fill(this.lastCreatedAt, first, end)
    const bucket = bucketOf(partition, this.buckets)
    this.runs.push({ bucket, firstOrdinal: first, entries: walked })
    this.entries = end
    return walked * entryBytes
  }

  /**
   * The rows of everything added since begin(), in the slab: valid until the next finish().
   * `mayRepeat` says which buckets are to take the merge path at once, `keysOf` what is known of a
   * bucket's open leaves.
   */
  finish(
    mayRepeat: (bucket: number) => boolean,
    keysOf: (bucket: number) => BucketKeys | undefined = () => undefined,
  ): BucketRows[] {
    const ends = this.groupByBucket()
    const result: BucketRows[] = []
    let at = 0
    let from = 0
    for (let bucket = 0; bucket < this.buckets; bucket++) {
      const to = ends[bucket]
      if (to === from) continue
      this.sorter.sort(this.view, this.positions, this.order, from, to)
      this.slab.set(copyHeader, at)
      const keys = keysOf(bucket)
      const written = this.writeRows(from, to, at + copyHeaderBytes, keys)
      const end = at + copyHeaderBytes + written.rows * rowBytes + copyTrailerBytes
      this.slabView.setInt16(end - copyTrailerBytes, -1)
      const copy = this.slab.subarray(at, end)
      const repeats = written.repeating || mayRepeat(bucket)
      const isOpen = keys?.isOpen === true
      result.push({ bucket, copy, rows: written.rows, mayRepeat: repeats, isOpen })
      at = end
      from = to
    }
    return result
  }

  /** Fills `order` bucket by bucket, log order kept; returns where each bucket ends. */
  private groupByBucket(): Uint32Array {
    const next = new Uint32Array(this.buckets)
    for (const run of this.runs) next[run.bucket] += run.entries
    let start = 0
    for (let bucket = 0; bucket < this.buckets; bucket++) {
      const entries = next[bucket]
      next[bucket] = start
      start += entries
    }
    for (const run of this.runs) {
      let place = next[run.bucket]
      const end = run.firstOrdinal + run.entries
      for (let ordinal = run.firstOrdinal; ordinal < end; ordinal++) this.order[place++] = ordinal
      next[run.bucket] = place
    }
    return next
  }

  /**
   * Writes order[from..to) as rows. An entry equal to the one before it in all three fields is left
   * out: the first in log order stands. One with the same key and another amount is written, and
   * makes the bucket `repeating`, as does one that an open leaf may have.
   */
  private writeRows(
    from: number,
    to: number,
    at: number,
    keys: BucketKeys | undefined,
  ): { rows: number; repeating: boolean } {
    const { view, positions, order, createdAt } = this
    let previous = -1
    let row = at
    let repeating = false
    for (let i = from; i < to; i++) {
      const ordinal = order[i]
      const position = positions[ordinal]
      if (previous >= 0 && compareKeys(view, previous, position) === 0) {
        if (sameAmount(view, previous, position)) {
          this.repeated++
          continue
        }
        repeating = true
      } else if (keys?.see(view, position)) {
        repeating = true
      }
      previous = position
      this.writeRow(row, position, createdAt[ordinal])
      row += rowBytes
    }
    return { rows: (row - at) / rowBytes, repeating }
  }

  private writeRow(row: number, position: number, createdAt: number): void {
    const { view, slabView } = this
    slabView.setInt16(row, 4)
    slabView.setInt32(row + 2, 16)
    const account = position + accountIdAt
    slabView.setInt32(row + 6, view.getInt32(account))
    slabView.setInt32(row + 10, view.getInt32(account + 4))
    slabView.setInt32(row + 14, view.getInt32(account + 8))
    slabView.setInt32(row + 18, view.getInt32(account + 12))
    slabView.setInt32(row + 22, 16)
    const id = position + idAt
    slabView.setInt32(row + 26, view.getInt32(id))
    slabView.setInt32(row + 30, view.getInt32(id + 4))
    slabView.setInt32(row + 34, view.getInt32(id + 8))
    slabView.setInt32(row + 38, view.getInt32(id + 12))
    slabView.setInt32(row + 42, 8)
    const amount = position + amountAt
    slabView.setInt32(row + 46, view.getInt32(amount + 4, true))
    slabView.setInt32(row + 50, view.getInt32(amount, true))
    slabView.setInt32(row + 54, 8)
    const high = Math.floor(createdAt / 2 ** 32)
    slabView.setInt32(row + 58, high)
    slabView.setInt32(row + 62, createdAt - high * 2 ** 32)
  }
}

/*
 * Three equal entries with another amount in between (a, b, a) come as a, b, a: the second `a`
 * differs from `b`, so it is written, and the merge path finds it to be a duplicate of the first.
 */
function sameAmount(view: DataView, left: number, right: number): boolean {
  return (
    view.getInt32(left + amountAt) === view.getInt32(right + amountAt) &&
    view.getInt32(left + amountAt + 4) === view.getInt32(right + amountAt + 4)
  )
}
