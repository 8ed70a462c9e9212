// Every way to write a TransactionBatch that protobuf permits, for property tests; and a plain
// reader of them.
// In:  random choices of fast-check.
// Out: transactions with the bytes of one of their encodings; or what a body of any bytes means.
// Absent: the program's own codecs.

import { BinaryReader, BinaryWriter, WireType } from '@bufbuild/protobuf/wire'
import fc from 'fast-check'
import type { Entry } from '../record/encode.ts'

const uuid = fc.uint8Array({ minLength: 16, maxLength: 16 })

export const anyEntry: fc.Arbitrary<Entry> = fc.record(
  {
    id: uuid,
    accountId: uuid,
    amount: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
  },
  { noNullPrototype: true },
)

/**
 * One field as it is written: which, with how much padding in its length, and what stands there if
 * not the value.
 */
interface FieldChoice {
  field: 1 | 2 | 3
  padding: number
  decoy: Uint8Array
}

interface EntryChoice {
  entry: Entry
  fields: FieldChoice[]
}

const choiceOf = (field: fc.Arbitrary<1 | 2 | 3>): fc.Arbitrary<FieldChoice> =>
  fc.record({
    field,
    padding: fc.oneof({ weight: 3, arbitrary: fc.constant(0) }, fc.nat(9)),
    decoy: fc.uint8Array({ maxLength: 20 }),
  })

/** Every field at least once, in any order; some of them several times. */
const fieldChoices = fc
  .tuple(
    choiceOf(fc.constant(1)),
    choiceOf(fc.constant(2)),
    choiceOf(fc.constant(3)),
    fc.array(choiceOf(fc.constantFrom(1, 2, 3)), { maxLength: 3 }),
  )
  .map(([id, accountId, amount, more]) => [id, accountId, amount, ...more])
  .chain((choices) => fc.shuffledSubarray(choices, { minLength: choices.length }))

/** A length as a varint with `padding` bytes more than it needs, at most ten in all. */
function paddedLength(value: number, padding: number): Uint8Array {
  const shortest = [...new BinaryWriter().uint32(value).finish()]
  const extra = Math.min(padding, 10 - shortest.length)
  if (extra === 0) return Uint8Array.from(shortest)
  const last = shortest.length - 1
  shortest[last] |= 0x80
  return Uint8Array.from([...shortest, ...Array<number>(extra - 1).fill(0x80), 0])
}

function writeBytes(writer: BinaryWriter, field: number, bytes: Uint8Array, padding: number): void {
  writer.tag(field, WireType.LengthDelimited)
  writer.raw(paddedLength(bytes.length, padding)).raw(bytes)
}

/**
 * Of a field given twice the last counts: only there the value is written, and decoys before it.
 */
function writeEntry({ entry, fields }: EntryChoice): Uint8Array {
  const writer = new BinaryWriter()
  for (const [index, { field, padding, decoy }] of fields.entries()) {
    const isLast = !fields.slice(index + 1).some((later) => later.field === field)
    if (field === 3) {
      writer.tag(3, WireType.Bit64).sfixed64(isLast ? entry.amount : BigInt(decoy.length))
    } else {
      const value = field === 1 ? entry.id : entry.accountId
      writeBytes(writer, field, isLast ? value : decoy, padding)
    }
  }
  return writer.finish()
}

export interface EncodedBatch {
  entries: Entry[]
  bytes: Uint8Array
}

/** A batch of such entries, and one of its valid encodings. */
export function anyEncodedBatch(entry: fc.Arbitrary<Entry>): fc.Arbitrary<EncodedBatch> {
  const padding = fc.oneof({ weight: 3, arbitrary: fc.constant(0) }, fc.nat(8))
  const choice = fc.record({ entry, fields: fieldChoices, padding })
  return fc.array(choice, { maxLength: 8 }).map((choices) => {
    const writer = new BinaryWriter()
    for (const each of choices) writeBytes(writer, 1, writeEntry(each), each.padding)
    return { entries: choices.map((each) => each.entry), bytes: writer.finish() }
  })
}

/**
 * What any bytes mean as a batch under the rules of record/decode.ts, read with @bufbuild/protobuf;
 * or `undefined`.
 */
export function readBatch(bytes: Uint8Array): Entry[] | undefined {
  try {
    const entries: Entry[] = []
    readFields(bytes, (field, wireType, reader) => {
      assertIs(field === 1 && wireType === WireType.LengthDelimited)
      entries.push(readEntry(readBytes(reader, bytes)))
    })
    return entries
  } catch {
    return undefined
  }
}

function readEntry(bytes: Uint8Array): Entry {
  const entry: Partial<Entry> = {}
  readFields(bytes, (field, wireType, reader) => {
    assertIs(field === 3 ? wireType === WireType.Bit64 : wireType === WireType.LengthDelimited)
    if (field === 1) entry.id = readBytes(reader, bytes)
    else if (field === 2) entry.accountId = readBytes(reader, bytes)
    else if (field === 3) entry.amount = BigInt(reader.sfixed64())
    else assertIs(false)
  })
  const { id, accountId, amount } = entry
  assertIs(id?.length === 16 && accountId?.length === 16 && amount !== undefined)
  return { id, accountId, amount }
}

/** Like reader.bytes(), which drops all but the low 32 bits of a length. */
function readBytes(reader: BinaryReader, bytes: Uint8Array): Uint8Array {
  const lengthAt = reader.pos
  const length = BigInt(reader.uint64())
  assertIs(reader.pos - lengthAt < 10 || bytes[reader.pos - 1] <= 1)
  assertIs(length <= BigInt(reader.len - reader.pos))
  reader.pos += Number(length)
  return bytes.slice(reader.pos - Number(length), reader.pos)
}

function readFields(
  bytes: Uint8Array,
  read: (field: number, wireType: WireType, reader: BinaryReader) => void,
): void {
  const reader = new BinaryReader(bytes)
  while (reader.pos < reader.len) read(...reader.tag(), reader)
  assertIs(reader.pos === reader.len)
}

function assertIs(condition: boolean): asserts condition {
  if (!condition) throw new Error('not a batch')
}
