// Fuzzes the two readers of protobuf: of a request's body, and of a log record in a worker's ring.
// In:  bytes.
// Out: a Disagreement where verdict, entries or fault differ, or where bytes were touched that are
//      not the record's.
// Absent: the references (wire-grammar.ts; encodings.ts reads with @bufbuild/protobuf).

import { RequestBatch } from '../../batch/batch.ts'
import { parseProtobuf } from '../../batch/parse-protobuf.ts'
import { requestItemsMax } from '../../limits.ts'
import { encodeBatch, type Entry } from '../../record/encode.ts'
import { entryBytes } from '../../record/layout.ts'
import type { walkRecord } from '../../record/walk.ts'
import { readBatch } from '../encodings.ts'
import { inputBytesMax } from './input.ts'
import { assertSame, Disagreement, type Target, type Verdict } from './target.ts'
import { makeBatch, partitionOfAccount, wireDictionary } from './wire-bodies.ts'
import { readWire, type WireEntry, type WireReading } from './wire-grammar.ts'

export const protobuf: Target = {
  name: 'protobuf',
  title: 'the reader of protobuf batches, the wire format, and @bufbuild/protobuf',
  files: ['batch/parse-protobuf.ts', 'record/decode.ts', 'bytes/varint.ts'],
  dictionary: wireDictionary,
  generate: makeBatch,
  check: checkBody,
}

/** @param walk the walker, or one that is wrong on purpose */
export function recordTarget(walk: typeof walkRecord): Target {
  return {
    name: 'record',
    title: 'the walker of log records, the wire format, and @bufbuild/protobuf',
    files: ['record/walk.ts', 'record/decode.ts', 'bytes/varint.ts'],
    dictionary: wireDictionary,
    generate: makeBatch,
    check: (bytes, isThorough) => checkRecord(walk, bytes, isThorough),
  }
}

const batch = new RequestBatch()

interface Fault {
  index?: number
  field?: string
  position?: number
  expected: string
}

function checkBody(body: Uint8Array, isThorough: boolean): Verdict {
  const found = parseProtobuf(body, batch)
  const reading = readWire(body)
  if (isThorough) compareOther(body, reading)
  const expected = meaningOf(reading)
  if (found === undefined) {
    if ('expected' in expected) throw new Disagreement('A body was taken.', 'taken', expected)
    compareBytes(batch.entries.subarray(0, batch.count * entryBytes), expected)
    return 'taken'
  }
  if (!('expected' in expected)) throw new Disagreement('A body was refused.', found, 'taken')
  compareFaults(found, expected)
  return 'refused'
}

/**
 * Entries, or why the body is refused: of a request there must be some, not too many, and one
 * amount for an identity.
 */
function meaningOf({ entries, fault }: WireReading): Uint8Array | Fault {
  const count = entries.length + (fault === undefined ? 0 : 1)
  if (count < 1 || count > requestItemsMax) {
    return { expected: `1 to ${requestItemsMax} transactions` }
  }
  return fault ?? contradictionIn(entries) ?? encodeBatch(entries)
}

function contradictionIn(entries: readonly Entry[]): Fault | undefined {
  const earlier = new Map<string, number>()
  for (const [index, { id, accountId, amount }] of entries.entries()) {
    const identity = Buffer.concat([accountId, id]).toString('hex')
    const first = earlier.get(identity)
    if (first === undefined) {
      earlier.set(identity, index)
    } else if (entries[first].amount !== amount) {
      const where = `the same account_id and id in item ${first}`
      const expected = `${entries[first].amount}, the amount of ${where}`
      return { index, field: 'amount', expected }
    }
  }
  return undefined
}

/** A record stands in a ring with those of others before and behind it. */
const marginBytes = 64
const ring = Buffer.alloc(inputBytesMax + 2 * marginBytes)
const ringView = new DataView(ring.buffer, ring.byteOffset, ring.length)
const start = marginBytes
const strange = 0xa5

function checkRecord(walk: typeof walkRecord, bytes: Uint8Array, isThorough: boolean): Verdict {
  const end = start + bytes.length
  ring.fill(strange, 0, start)
  ring.set(bytes, start)
  ring.fill(strange, end, end + marginBytes)
  const reading = readWire(bytes)
  if (isThorough) compareOther(bytes, reading)
  const partition = partitionFor(bytes, reading)
  const fault = misrouted(reading.entries, partition) ?? reading.fault
  const found = walk(ringView, start, end, partition)
  checkMargins(end)
  if (typeof found === 'number') {
    if (fault !== undefined) throw new Disagreement('A record was taken.', found, fault)
    assertSame('entries', found, reading.entries.length)
    compareBytes(ring.subarray(start, start + found * entryBytes), encodeBatch(reading.entries))
    return 'taken'
  }
  if (fault === undefined) throw new Disagreement('A record was refused.', found, 'taken')
  compareFaults(found, fault)
  compareBytes(ring.subarray(start, end), bytes)
  return 'refused'
}

/** Mostly the one that its first account belongs to. */
function partitionFor(bytes: Uint8Array, { entries }: WireReading): number {
  const [first] = entries
  return first === undefined || bytes.length % 16 === 0 ? 7 : partitionOfAccount(first.accountId)
}

function misrouted(entries: readonly WireEntry[], partition: number): Fault | undefined {
  const index = entries.findIndex(({ accountId }) => partitionOfAccount(accountId) !== partition)
  if (index < 0) return undefined
  const expected = `an account of partition ${partition}`
  return { index, field: 'account_id', position: entries[index].at, expected }
}

function checkMargins(end: number): void {
  for (let i = 0; i < marginBytes; i += 1) {
    if (ring[i] === strange && ring[end + i] === strange) continue
    throw new Disagreement('Bytes beside the record', 'written', 'untouched')
  }
}

function compareOther(bytes: Uint8Array, { entries, fault }: WireReading): void {
  const other = readBatch(bytes)
  if (other === undefined) {
    if (fault === undefined) throw new Disagreement('@bufbuild/protobuf', 'refused', 'taken')
  } else if (fault !== undefined) {
    throw new Disagreement('@bufbuild/protobuf', 'taken', fault)
  } else {
    compareBytes(encodeBatch(other), encodeBatch(entries))
  }
}

function compareFaults(found: Fault, expected: Fault): void {
  assertSame('index', found.index, expected.index)
  assertSame('field', found.field, expected.field)
  assertSame('position', found.position, expected.position)
  assertSame('expected', rounded(found.expected), rounded(expected.expected))
}

/** A length beyond 2^53 is told as well as a double can. */
function rounded(text: string): string {
  return text.replace(/^[\d.e+]{16,} more/, 'many more')
}

function compareBytes(found: Uint8Array, expected: Uint8Array): void {
  if (Buffer.compare(found, expected) === 0) return
  const [program, reference] = [found, expected].map((each) => Buffer.from(each).toString('hex'))
  throw new Disagreement('Bytes differ.', program, reference)
}
