// Reads the JSON body of one request: a byte scanner for one fixed schema.
// In:  the body, whole.
// Out: canonical entries with their partitions, in the caller's RequestBatch; or why the body is
//      refused.
// Absent: JSON.parse, strings and objects per transaction, numbers as doubles.

/*
 * body => ws "[" ws item *( ws "," ws item ) ws "]" ws       1 to requestItemsMax items
 *
 * It takes exactly what JSON.parse and a check of this schema would take, escapes in strings
 * included, but for two things: a key given twice and an integer beyond 2^53 are seen as what they
 * are. bench/scanner.mjs shows the speed.
 */

import { requestItemsMax } from '../limits.ts'
import { writeEntryFrame } from '../record/encode.ts'
import { accountIdAt, entryBytes } from '../record/layout.ts'
import { partitionOf } from '../record/partition.ts'
import type { RequestBatch, RequestFault } from './batch.ts'
import { readCompactItem, readItem } from './json-item.ts'
import { byteAt, excerpt, skipSpace } from './json-text.ts'
import { Repeats } from './repeats.ts'

const space = 0x20
const comma = 0x2c
const openBracket = 0x5b
const closeBracket = 0x5d

const repeats = new Repeats()

/** Parses a body of `application/json`. After a fault the contents of `into` mean nothing. */
export function parseJson(body: Uint8Array, into: RequestBatch): RequestFault | undefined {
  const source = new DataView(body.buffer, body.byteOffset, body.byteLength)
  const entries = new DataView(into.entries.buffer, into.entries.byteOffset, into.entries.length)
  into.count = 0
  repeats.begin()
  const end = body.length
  let at = skipSpace(source, 0)
  if (byteAt(source, at) !== openBracket) return syntaxFault(source, at, 'an array')
  let count = 0
  do {
    at += 1
    if (at < end && source.getUint8(at) <= space) at = skipSpace(source, at)
    if (count === requestItemsMax) return wrongCount(at, `more than ${requestItemsMax}`)
    const entryAt = count * entryBytes
    let next = readCompactItem(source, at, end, entries, entryAt)
    if (next < 0) {
      const read = readItem(source, at, entries, entryAt)
      if (typeof read !== 'number')
        return emptyFault(source, at, count) ?? { index: count, ...read }
      next = read
    }
    writeEntryFrame(entries, entryAt)
    into.partitions[count] = partitionOf(entries, entryAt + accountIdAt)
    const repeat = repeats.add(entries, count)
    if (repeat !== undefined) return repeat
    count += 1
    at = next
    if (at < end && source.getUint8(at) <= space) at = skipSpace(source, at)
  } while (at < end && source.getUint8(at) === comma)
  if (byteAt(source, at) !== closeBracket) return syntaxFault(source, at, '`,` or `]`')
  at = skipSpace(source, at + 1)
  if (at < end) return syntaxFault(source, at, 'the end of the body')
  into.count = count
  into.repeats = repeats.indexes
  return undefined
}

function syntaxFault(source: DataView, position: number, expected: string): RequestFault {
  return { position, expected, found: excerpt(source, position) }
}

/** The fault of a batch without items, which is no fault of its first item. */
function emptyFault(source: DataView, at: number, count: number): RequestFault | undefined {
  return count === 0 && byteAt(source, at) === closeBracket ? wrongCount(at, 'none') : undefined
}

function wrongCount(position: number, found: string): RequestFault {
  return { position, expected: `1 to ${requestItemsMax} transactions`, found }
}
