// Reads one transaction of a TransactionBatch in any valid protobuf encoding.
// In:  wire bytes with their bounds, unchecked.
// Out: the same transaction in the canonical encoding; or a fault.
// Absent: speed. walk.ts and parse-protobuf.ts take canonical entries themselves and come here for
//         all others.

/*
 * entry => 0A length *field              length bytes of fields, in any order
 * field => 0A length id / 12 length account_id / 19 amount[8]
 *
 * Tags and lengths are varints and may be padded. Of a field given twice the last one counts, as
 * protobuf has it. All three must be present: a transaction without an amount is not one of amount
 * 0. A field with another number or wire type is refused, where protobuf would let it pass: it
 * could mean something about money that this program does not know.
 */

import { varintEnd, varintValue } from '../bytes/varint.ts'
import { writeEntryFrame } from './encode.ts'
import type { EntryField, RecordFault } from './fault.ts'
import { accountIdAt, amountAt, idAt, uuidBytes } from './layout.ts'

const lengthDelimited = 2
const fixed64 = 1
const amountBytes = 8

/** Field number 1, length-delimited: an entry of a batch, and an id within an entry. */
const entryTag = (1 << 3) | lengthDelimited
const idTag = (1 << 3) | lengthDelimited
const accountIdTag = (2 << 3) | lengthDelimited
const amountTag = (3 << 3) | fixed64
/** protobuf tags are 32-bit. */
const tagBytesMax = 5

const wireTypes = ['VARINT', 'I64', 'LEN', 'SGROUP', 'EGROUP', 'I32']

/** Where the fields of an entry stand, and how long they are; -1 for what has not been seen. */
interface FieldPlaces {
  id: number
  idLength: number
  accountId: number
  accountIdLength: number
  amount: number
}

/**
 * Reads the entry that begins at `at`, writes it to `targetAt` as a canonical one, and returns the
 * position after it. Nothing is written when a fault is returned. Source and target must not
 * overlap.
 */
export function decodeEntry(
  source: DataView,
  at: number,
  end: number,
  target: DataView,
  targetAt: number,
): number | RecordFault {
  const lengthAt = expectTag(source, at, end)
  if (typeof lengthAt !== 'number') return lengthAt
  const bodyAt = varintEnd(source, lengthAt, end)
  if (bodyAt < 0) return fault(lengthAt, 'the length of a transaction', 'a cut or endless varint')
  const length = varintValue(source, lengthAt, bodyAt)
  if (length > end - bodyAt) return tooLong(lengthAt, length, end - bodyAt)
  const bodyEnd = bodyAt + length
  const places = readFields(source, bodyAt, bodyEnd)
  if ('expected' in places) return places
  const missing = checkPlaces(places, bodyEnd)
  if (missing !== undefined) return missing
  writeEntryFrame(target, targetAt)
  copy(source, places.id, target, targetAt + idAt, uuidBytes)
  copy(source, places.accountId, target, targetAt + accountIdAt, uuidBytes)
  copy(source, places.amount, target, targetAt + amountAt, amountBytes)
  return bodyEnd
}

/** Position after the tag of an entry. */
function expectTag(source: DataView, at: number, end: number): number | RecordFault {
  const tagEnd = varintEnd(source, at, Math.min(end, at + tagBytesMax))
  if (tagEnd < 0) return fault(at, 'the tag of a transaction', 'a cut or endless varint')
  const tag = varintValue(source, at, tagEnd)
  if (tag !== entryTag) return fault(at, 'field 1 (LEN), a transaction', tagText(tag))
  return tagEnd
}

function readFields(source: DataView, at: number, end: number): FieldPlaces | RecordFault {
  const places = { id: -1, idLength: 0, accountId: -1, accountIdLength: 0, amount: -1 }
  let next = at
  while (next < end) {
    const tagAt = next
    next = varintEnd(source, tagAt, Math.min(end, tagAt + tagBytesMax))
    if (next < 0) return fault(tagAt, 'the tag of a field', 'a cut or endless varint')
    const tag = varintValue(source, tagAt, next)
    if (tag === amountTag) {
      if (end - next < amountBytes) return tooLong(next, amountBytes, end - next, 'amount')
      places.amount = next
      next += amountBytes
    } else if (tag === idTag || tag === accountIdTag) {
      const field = tag === idTag ? 'id' : 'account_id'
      const lengthAt = next
      next = varintEnd(source, lengthAt, end)
      if (next < 0) return fault(lengthAt, 'a length', 'a cut or endless varint', field)
      const length = varintValue(source, lengthAt, next)
      if (length > end - next) return tooLong(lengthAt, length, end - next, field)
      if (tag === idTag) {
        places.id = next
        places.idLength = length
      } else {
        places.accountId = next
        places.accountIdLength = length
      }
      next += length
    } else {
      const known = 'field 1 (LEN), 2 (LEN) or 3 (I64) of a transaction'
      return fault(tagAt, known, tagText(tag))
    }
  }
  return places
}

function checkPlaces(places: FieldPlaces, end: number): RecordFault | undefined {
  if (places.id < 0) return fault(end, 'an id', 'none', 'id')
  if (places.accountId < 0) return fault(end, 'an account_id', 'none', 'account_id')
  if (places.amount < 0) return fault(end, 'an amount', 'none', 'amount')
  if (places.idLength !== uuidBytes) return wrongLength(places.id, places.idLength, 'id')
  if (places.accountIdLength !== uuidBytes) {
    return wrongLength(places.accountId, places.accountIdLength, 'account_id')
  }
  return undefined
}

function wrongLength(position: number, length: number, field: EntryField): RecordFault {
  return fault(position, `${uuidBytes} bytes`, `${length} bytes`, field)
}

function tooLong(at: number, wants: number, has: number, field?: EntryField): RecordFault {
  return fault(at, `${wants} more bytes`, `${has} bytes before the end`, field)
}

function fault(position: number, expected: string, found: string, field?: EntryField): RecordFault {
  return field === undefined ? { position, expected, found } : { field, position, expected, found }
}

function tagText(tag: number): string {
  const wireType = tag % 8
  return `field ${Math.floor(tag / 8)} (${wireTypes[wireType] ?? `wire type ${wireType}`})`
}

function copy(
  source: DataView,
  at: number,
  target: DataView,
  targetAt: number,
  bytes: number,
): void {
  for (let i = 0; i < bytes; i += 1) target.setUint8(targetAt + i, source.getUint8(at + i))
}
