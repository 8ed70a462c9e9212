// Checks that a log record is a TransactionBatch of its partition, and leaves it as canonical
// entries.
// In:  record bytes in the worker's ring, in any valid protobuf encoding.
// Out: how many entries there are, back to back from where the record begins; or a fault, and the
//      record untouched.
// Absent: an object per transaction, exceptions, copies of records that are canonical already (all
//         of ours are).

/*
 * A valid entry has all three fields, so the canonical encoding is the shortest there is: a record
 * in another encoding is rewritten where it stands and never needs more room than it had. Readers
 * therefore find entry i at start + i * entryBytes, with its fields at the offsets of layout.ts,
 * whoever wrote the record.
 */

import { decodeEntry } from './decode.ts'
import { accountIdHead, amountHead, entryHead } from './encode.ts'
import type { RecordFault } from './fault.ts'
import { accountIdAt, amountAt, entryBytes } from './layout.ts'
import { partitionOf } from './partition.ts'

/**
 * Walks the record that fills `start` to `end` and returns its number of entries, at most
 * (end - start) / entryBytes; or a fault, whose position counts from `start`. The caller must own
 * the bytes, since another encoding is rewritten, and only if all of it is good.
 */
export function walkRecord(
  bytes: DataView,
  start: number,
  end: number,
  partition: number,
): number | RecordFault {
  let at = start
  while (isCanonical(bytes, at, end)) {
    if (partitionOf(bytes, at + accountIdAt) !== partition) {
      return misrouted(bytes, at, partition, (at - start) / entryBytes, at - start)
    }
    at += entryBytes
  }
  if (at === end) return (at - start) / entryBytes
  return rewriteRecord(bytes, start, end, partition)
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

/**
 * Decodes a record aside; if all of it is good puts it back as canonical entries and returns how
 * many they are.
 */
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
