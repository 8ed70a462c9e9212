// Reads the TransactionBatch of one request.
// In:  a body in any valid protobuf encoding.
// Out: canonical entries with their partitions, in the caller's RequestBatch; or why the body is
//      refused.
// Absent: generated code, HTTP, an object per transaction.

import { requestItemsMax } from '../limits.ts'
import { decodeEntry } from '../record/decode.ts'
import { accountIdAt, entryBytes } from '../record/layout.ts'
import { partitionOf } from '../record/partition.ts'
import { isCanonical } from '../record/walk.ts'
import type { RequestBatch, RequestFault } from './batch.ts'
import { Repeats } from './repeats.ts'

const repeats = new Repeats()

/** Parses a body of `application/x-protobuf`. After a fault the contents of `into` mean nothing. */
export function parseProtobuf(body: Uint8Array, into: RequestBatch): RequestFault | undefined {
  const source = new DataView(body.buffer, body.byteOffset, body.byteLength)
  const entries = new DataView(into.entries.buffer, into.entries.byteOffset, into.entries.length)
  into.count = 0
  const canonical = canonicalCount(source)
  into.entries.set(body.subarray(0, canonical * entryBytes))
  let count = canonical
  let at = canonical * entryBytes
  while (at < body.length) {
    if (count === requestItemsMax) return wrongCount(`more than ${requestItemsMax}`)
    const next = decodeEntry(source, at, body.length, entries, count * entryBytes)
    if (typeof next !== 'number') return { ...next, index: count }
    at = next
    count += 1
  }
  if (count === 0) return wrongCount('none')
  const fault = finishEntries(entries, count, into.partitions)
  if (fault !== undefined) return fault
  into.count = count
  into.repeats = repeats.indexes
  return undefined
}

/** How many canonical entries the body begins with, up to the most a request may have. */
function canonicalCount(source: DataView): number {
  let count = 0
  let at = 0
  while (count < requestItemsMax && isCanonical(source, at, source.byteLength)) {
    count += 1
    at += entryBytes
  }
  return count
}

/** Partitions and repeats of all entries. */
function finishEntries(
  entries: DataView,
  count: number,
  partitions: Uint8Array,
): RequestFault | undefined {
  repeats.begin()
  for (let index = 0; index < count; index += 1) {
    partitions[index] = partitionOf(entries, index * entryBytes + accountIdAt)
    const fault = repeats.add(entries, index)
    if (fault !== undefined) return fault
  }
  return undefined
}

function wrongCount(found: string): RequestFault {
  return { expected: `1 to ${requestItemsMax} transactions`, found }
}
