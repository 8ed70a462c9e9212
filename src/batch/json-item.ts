// Reads one item of a JSON batch into its canonical entry.
// In:  the body, and where an item should begin.
// Out: the three values in place, and the position after the item; or a fault.
// Absent: the array around it (parse-json.ts), the entry's frame, recursion (nothing in an item
//         nests).

/*
 * item   => "{" ws member ws "," ws member ws "," ws member ws "}"   each once, in any order
 * member => key ws ":" ws value
 *           "id" or "account_id" : a string holding a UUID
 *           "amount"             : an int64, as a number or as a string of its digits
 * ws     => *( space / tab / CR / LF )
 */

import { readInt64 } from '../bytes/int64.ts'
import { readUuid, uuidTextBytes } from '../bytes/uuid.ts'
import { accountIdAt, amountAt, idAt } from '../record/layout.ts'
import type { RequestFault } from './batch.ts'
import { byteAt, excerpt, isText, isWordByte, readText, skipSpace, type Text } from './json-text.ts'

const quote = 0x22
const comma = 0x2c
const colon = 0x3a
const openBrace = 0x7b
const closeBrace = 0x7d

/** Four characters as a little-endian word. */
function word(characters: string): number {
  return Buffer.from(characters).readInt32LE()
}

// Keys are compared by words, which overlap where a length is no multiple of four.
const idKey0 = word('{"id')
const idKey3 = word('d":"')
const memberKey0 = word('","a')
const accountKey4 = word('ccou')
const accountKey8 = word('nt_i')
const accountKey12 = word('d":"')
const amountKey4 = word('moun')
const amountKey7 = word('nt":')

const idKeyBytes = 7
const accountKeyBytes = 16
const amountKeyBytes = 11

/**
 * Reads an item spelled `{"id":"…","account_id":"…","amount":1}`, or with `"1"`, as most programs
 * write it, and returns the position after it; -1 when it is spelled in another way or is at fault,
 * for readItem to decide. `end` is the length of the body: asking the view for it costs a call.
 */
export function readCompactItem(
  source: DataView,
  at: number,
  end: number,
  entries: DataView,
  entryAt: number,
): number {
  const idValueAt = at + idKeyBytes
  const accountKeyAt = idValueAt + uuidTextBytes
  const accountValueAt = accountKeyAt + accountKeyBytes
  const amountKeyAt = accountValueAt + uuidTextBytes
  const amountValueAt = amountKeyAt + amountKeyBytes
  if (amountValueAt >= end) return -1
  if (!hasCompactKeys(source, at, accountKeyAt, amountKeyAt)) return -1
  if (!readUuid(source, idValueAt, entries, entryAt + idAt)) return -1
  if (!readUuid(source, accountValueAt, entries, entryAt + accountIdAt)) return -1
  const next =
    source.getUint8(amountValueAt) === quote
      ? readQuotedAmount(source, amountValueAt, entries, entryAt)
      : readInt64(source, amountValueAt, end, entries, entryAt + amountAt)
  return next >= 0 && next < end && source.getUint8(next) === closeBrace ? next + 1 : -1
}

/**
 * Whether the three keys, with the punctuation around them, stand where they do in a compact item.
 */
function hasCompactKeys(
  source: DataView,
  idKeyAt: number,
  accountKeyAt: number,
  amountKeyAt: number,
): boolean {
  return (
    source.getInt32(idKeyAt, true) === idKey0 &&
    source.getInt32(idKeyAt + 3, true) === idKey3 &&
    source.getInt32(accountKeyAt, true) === memberKey0 &&
    source.getInt32(accountKeyAt + 4, true) === accountKey4 &&
    source.getInt32(accountKeyAt + 8, true) === accountKey8 &&
    source.getInt32(accountKeyAt + 12, true) === accountKey12 &&
    source.getInt32(amountKeyAt, true) === memberKey0 &&
    source.getInt32(amountKeyAt + 4, true) === amountKey4 &&
    source.getInt32(amountKeyAt + 7, true) === amountKey7
  )
}

/** Members by number, and their bits in a set of those seen. */
const fields = ['id', 'account_id', 'amount'] as const
const idField = 0
const accountIdField = 1
const amountField = 2
const allSeen = 7

const text: Text = { view: new DataView(new ArrayBuffer(0)), at: 0, end: 0, next: 0 }

/** Reads an item in any spelling and returns the position after it. */
export function readItem(
  source: DataView,
  itemAt: number,
  entries: DataView,
  entryAt: number,
): number | RequestFault {
  if (byteAt(source, itemAt) !== openBrace) return faultAt(source, itemAt, 'an object')
  let at = skipSpace(source, itemAt + 1)
  if (byteAt(source, at) === closeBrace) return missing(source, at, 0)
  let seen = 0
  for (;;) {
    const field = readKey(source, at, text)
    if (field < 0) return faultAt(source, at, 'the key "id", "account_id" or "amount"')
    if ((seen & (1 << field)) !== 0) return faultAt(source, at, 'each key once', field)
    seen |= 1 << field
    at = skipSpace(source, text.next)
    if (byteAt(source, at) !== colon) return faultAt(source, at, '`:`', field)
    at = skipSpace(source, at + 1)
    const next = readValue(source, at, field, entries, entryAt)
    if (next < 0) return faultAt(source, at, expectedValues[field], field)
    at = skipSpace(source, next)
    if (byteAt(source, at) !== comma) break
    at = skipSpace(source, at + 1)
  }
  if (byteAt(source, at) !== closeBrace) return faultAt(source, at, '`,` or `}`')
  return seen === allSeen ? at + 1 : missing(source, at, seen)
}

const idKey = word('"id"')
const accountIdKey0 = word('"acc')
const accountIdKey4 = word('ount')
const accountIdKey8 = word('_id"')
const plainAmountKey0 = word('"amo')
const plainAmountKey4 = word('unt"')

/** Number of the member whose key is at `at`, or -1. Sets `next` of the text. */
function readKey(source: DataView, at: number, key: Text): number {
  if (source.byteLength - at >= 12) {
    const first = source.getInt32(at, true)
    if (first === idKey) {
      key.next = at + 4
      return idField
    }
    const second = source.getInt32(at + 4, true)
    if (first === plainAmountKey0 && second === plainAmountKey4) {
      key.next = at + 8
      return amountField
    }
    if (first === accountIdKey0 && second === accountIdKey4) {
      key.next = at + 12
      if (source.getInt32(at + 8, true) === accountIdKey8) return accountIdField
    }
  }
  // With escapes, near the end of the body, or none of the three.
  if (!readText(source, at, key)) return -1
  return fields.findIndex((field) => isText(key, field))
}

const uuidExpected = 'a UUID as a string of 36 characters'
const int64Expected = 'an integer from -9223372036854775808 to 9223372036854775807'
const expectedValues = [uuidExpected, uuidExpected, int64Expected]

/** Reads a value into its place and returns the position after it, or -1 when it is at fault. */
function readValue(
  source: DataView,
  at: number,
  field: number,
  entries: DataView,
  entryAt: number,
): number {
  if (field === amountField) {
    if (byteAt(source, at) === quote) return readQuotedAmount(source, at, entries, entryAt)
    const next = readInt64(source, at, source.byteLength, entries, entryAt + amountAt)
    // What goes on after its digits is no integer: 1.0, 1e3, 01.
    return next >= 0 && isWordByte(byteAt(source, next)) ? -1 : next
  }
  return readQuotedUuid(source, at, entries, entryAt + (field === idField ? idAt : accountIdAt))
}

function readQuotedUuid(source: DataView, at: number, target: DataView, targetAt: number): number {
  const end = at + 1 + uuidTextBytes
  if (byteAt(source, at) === quote && byteAt(source, end) === quote) {
    if (readUuid(source, at + 1, target, targetAt)) return end + 1
  }
  if (!readText(source, at, text) || text.end - text.at !== uuidTextBytes) return -1
  return readUuid(text.view, text.at, target, targetAt) ? text.next : -1
}

function readQuotedAmount(
  source: DataView,
  at: number,
  entries: DataView,
  entryAt: number,
): number {
  const target = entryAt + amountAt
  const end = readInt64(source, at + 1, source.byteLength, entries, target)
  if (end >= 0 && byteAt(source, end) === quote) return end + 1
  if (!readText(source, at, text)) return -1
  return readInt64(text.view, text.at, text.end, entries, target) === text.end ? text.next : -1
}

function faultAt(
  source: DataView,
  position: number,
  expected: string,
  field?: number,
): RequestFault {
  const name = field === undefined ? undefined : fields[field]
  const fault = { position, expected, found: excerpt(source, position) }
  return name === undefined ? fault : { field: name, ...fault }
}

function missing(source: DataView, position: number, seen: number): RequestFault {
  const field = fields.findIndex((_, number) => (seen & (1 << number)) === 0)
  return faultAt(source, position, `the member "${fields[field]}"`, field)
}
