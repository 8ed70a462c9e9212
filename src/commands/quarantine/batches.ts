// Bytes of a log record as requests that ingress may take.
// In:  a record: the batches of any number of requests, one after the other.
// Out: pieces of no more transactions than a request may have, cut between two of them.
// Absent: judging what is no transaction: that is for ingress to refuse, which says what is wrong.

import { requestItemsMax } from '../../limits.ts'
import { decodeEntry } from '../../record/decode.ts'
import { entryBytes } from '../../record/layout.ts'

export function batchesOf(record: Uint8Array): Uint8Array[] {
  const source = new DataView(record.buffer, record.byteOffset, record.byteLength)
  const scratch = new DataView(new ArrayBuffer(entryBytes))
  const batches: Uint8Array[] = []
  let begin = 0
  let count = 0
  for (let at = 0; at < record.length; count += 1) {
    if (count === requestItemsMax) {
      batches.push(record.subarray(begin, at))
      begin = at
      count = 0
    }
    const next = decodeEntry(source, at, record.length, scratch, 0)
    if (typeof next !== 'number') break
    at = next
  }
  return [...batches, record.subarray(begin)]
}
