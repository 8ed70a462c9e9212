// Checks that a log record is a TransactionBatch of its partition, and finds its entries.
// In:  record bytes in the worker's ring, in any valid protobuf encoding.
// Out: where each entry begins, as canonical bytes; or a fault, and the record untouched.
// Absent: an object per transaction, exceptions, copies of records that are canonical already (all of ours are).

/*
 * A valid entry has all three fields, so the canonical encoding is the shortest there is: a record in another encoding
 * is rewritten where it stands and never needs more room than it had. Readers therefore find the fields of every
 * entry at the offsets of layout.ts, whoever wrote the record.
 */

import { decodeEntry } from './decode.ts'
import { accountIdHead, amountHead, entryHead } from './encode.ts'
import type { RecordFault } from './fault.ts'
import { accountIdAt, amountAt, entryBytes } from './layout.ts'
import { partitionOf } from './partition.ts'

/**
 * Walks the record that fills `start` to `end` and writes the position in `bytes` of each entry to `positions`, from
 * index `first` on. Returns the index after the last; or a fault, whose position counts from `start`, and then what
 * was written to `positions` means nothing. No entry is shorter than entryBytes, so there are at most
 * (end - start) / entryBytes of them. The caller must own the bytes, since a foreign encoding is rewritten.
 */
export function walkRecord(
  bytes: DataView,
  start: number,
  end: number,
  partition: number,
  positions: Uint32Array,
  first: number,
): number | RecordFault {
  let count = first
  let at = start
  while (isCanonical(bytes, at, end)) {
    if (partitionOf(bytes, at + accountIdAt) !== partition) {
      return misrouted(bytes, at, partition, count - first, at - start)
    }
    positions[count] = at
    count += 1
    at += entryBytes
  }
  if (at === end) return count
  const rewritten = rewriteRecord(bytes, start, end, partition)
  if (typeof rewritten !== 'number') return rewritten
  for (let index = 0; index < rewritten; index += 1) {
    positions[first + index] = start + index * entryBytes
  }
  return first + rewritten
}

/** Whether a whole canonical entry stands at `at`. */
export function isCanonical(bytes: DataView, at: number, end: number): boolean {
  return (
    end - at >= entryBytes &&
    bytes.getInt32(at, true) === entryHead &&
    bytes.getInt16(at + accountIdAt - 2, true) === accountIdHead &&
    bytes.getUint8(at + amountAt - 1) === amountHead
  )
}

/** Decodes a record aside; if all of it is good puts it back as canonical entries and returns how many they are. */
function rewriteRecord(
  bytes: DataView,
  start: number,
  end: number,
  partition: number,
): number | RecordFault {
  const aside = new Uint8Array(Math.floor((end - start) / entryBytes) * entryBytes)
  const entries = new DataView(aside.buffer)
  let count = 0
  for (let at = start; at < end; count += 1) {
    const entryAt = count * entryBytes
    const next = decodeEntry(bytes, at, end, entries, entryAt)
    if (typeof next !== 'number') return { ...next, index: count, position: next.position - start }
    if (partitionOf(entries, entryAt + accountIdAt) !== partition) {
      return misrouted(entries, entryAt, partition, count, at - start)
    }
    at = next
  }
  const record = new Uint8Array(bytes.buffer, bytes.byteOffset + start, end - start)
  record.set(aside.subarray(0, count * entryBytes))
  return count
}

function misrouted(
  bytes: DataView,
  at: number,
  partition: number,
  index: number,
  position: number,
): RecordFault {
  const expected = `an account of partition ${partition}`
  const found = `one of partition ${partitionOf(bytes, at + accountIdAt)}`
  return { index, field: 'account_id', position, expected, found }
}
