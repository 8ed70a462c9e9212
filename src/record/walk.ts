// Checks that a log record is a TransactionBatch of its partition, and leaves it as canonical entries.
// In:  record bytes in the worker's ring, in any valid protobuf encoding.
// Out: how many entries there are, back to back from where the record begins; or a fault, and the record untouched.
// Absent: an object per transaction, exceptions, copies of records that are canonical already (all of ours are).

/*
 * A valid entry has all three fields, so the canonical encoding is the shortest there is: rewritten canonically a
 * record never needs more room than it had. Readers therefore find entry i at start + 47 i, with its fields at the
 * offsets of layout.ts, whoever wrote the record.
 */

import { decodeEntry } from './decode.ts'
import { accountIdHead, amountHead, entryHead } from './encode.ts'
import type { RecordFault } from './fault.ts'
import { accountIdAt, amountAt, entryBytes } from './layout.ts'
import { partitionAt } from './partition.ts'

/**
 * Walks the record that fills `start` to `end` and returns its number of entries. Positions in a fault count from
 * `start`. The caller must own the bytes: a record in another encoding is rewritten in place.
 */
export function walkRecord(
  bytes: DataView,
  start: number,
  end: number,
  partition: number,
): number | RecordFault {
  let at = start
  while (isCanonical(bytes, at, end)) {
    if (partitionAt(bytes, at + accountIdAt) !== partition) {
      return misrouted(bytes, at, (at - start) / entryBytes, partition, at - start)
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

/** Decodes the record aside, and puts it back in the canonical encoding if all of it is good. */
function rewriteRecord(
  bytes: DataView,
  start: number,
  end: number,
  partition: number,
): number | RecordFault {
  const room = Math.floor((end - start) / entryBytes) * entryBytes
  const rewritten = new DataView(new ArrayBuffer(room))
  let count = 0
  for (let at = start; at < end; count += 1) {
    const target = count * entryBytes
    const next = decodeEntry(bytes, at, end, rewritten, target)
    if (typeof next !== 'number') return { ...next, index: count, position: next.position - start }
    if (partitionAt(rewritten, target + accountIdAt) !== partition) {
      return misrouted(rewritten, target, count, partition, at - start)
    }
    at = next
  }
  const target = new Uint8Array(bytes.buffer, bytes.byteOffset + start, count * entryBytes)
  target.set(new Uint8Array(rewritten.buffer, 0, count * entryBytes))
  return count
}

function misrouted(
  bytes: DataView,
  at: number,
  index: number,
  partition: number,
  position: number,
): RecordFault {
  const found = `one of partition ${partitionAt(bytes, at + accountIdAt)}`
  const expected = `an account of partition ${partition}`
  return { index, field: 'account_id', position, expected, found }
}
