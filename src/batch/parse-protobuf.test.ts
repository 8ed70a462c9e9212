import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire'
import fc from 'fast-check'
import { requestItemsMax } from '../limits.ts'
import { encodeBatch, type Entry } from '../record/encode.ts'
import { accountIdAt, entryBytes } from '../record/layout.ts'
import { partitionOf } from '../record/partition.ts'
import { anyEncodedBatch, anyEntry, readBatch } from '../testing/encodings.ts'
import { RequestBatch } from './batch.ts'
import { parseProtobuf } from './parse-protobuf.ts'

const into = new RequestBatch()

function entryOf(number: number, amount = 1n): Entry {
  const id = new Uint8Array(16)
  new DataView(id.buffer).setUint32(12, number)
  return { id, accountId: new Uint8Array(16).fill(7), amount }
}

test('any encoding becomes canonical entries, with the partitions of their accounts', () => {
  fc.assert(
    fc.property(anyEncodedBatch(anyEntry), ({ entries, bytes }) => {
      if (entries.length === 0) return
      const body = Buffer.concat([Buffer.of(1, 2, 3), bytes, Buffer.of(4)]).subarray(3, -1)
      assert.equal(parseProtobuf(body, into), undefined)
      assert.equal(into.count, entries.length)
      const expected = encodeBatch(entries)
      assert.deepEqual(into.entries.slice(0, into.count * entryBytes), expected)
      const view = new DataView(expected.buffer)
      const partitions = entries.map((_, index) =>
        partitionOf(view, index * entryBytes + accountIdAt),
      )
      assert.deepEqual([...into.partitions.subarray(0, into.count)], partitions)
    }),
  )
})

test('a body with some bytes changed is taken exactly when it is still a batch', () => {
  const changes = fc.array(fc.record({ at: fc.nat(), byte: fc.nat(255) }), {
    minLength: 1,
    maxLength: 3,
  })
  const outcomes = { taken: 0, refused: 0 }
  fc.assert(
    fc.property(anyEncodedBatch(anyEntry), changes, (batch, places) => {
      if (batch.bytes.length === 0) return
      const bytes = Uint8Array.from(batch.bytes)
      for (const { at, byte } of places) bytes[at % bytes.length] = byte
      const fault = parseProtobuf(bytes, into)
      const expected = readBatch(bytes)
      outcomes[fault === undefined ? 'taken' : 'refused'] += 1
      const taken = fault === undefined ? into.entries.slice(0, into.count * entryBytes) : undefined
      assert.deepEqual(taken, expected && encodeBatch(expected), JSON.stringify(fault))
    }),
    { numRuns: 1000 },
  )
  assert(outcomes.taken > 50 && outcomes.refused > 50, JSON.stringify(outcomes))
})

test('a fault names the item, the field and the byte', () => {
  const canonical = encodeBatch([entryOf(1), entryOf(2)])
  const foreign = new BinaryWriter()
    .tag(1, WireType.LengthDelimited)
    .fork()
    .tag(1, WireType.LengthDelimited)
    .bytes(new Uint8Array(16))
    .join()
    .finish()
  const fault = parseProtobuf(Buffer.concat([canonical, foreign]), into)
  const expected = {
    index: 2,
    field: 'account_id',
    position: 114,
    expected: 'an account_id',
    found: 'none',
  }
  assert.deepEqual(fault, expected)
  assert.equal(into.count, 0)
})

test('1 to 5000 transactions are taken, in whatever encoding', () => {
  const entries = Array.from({ length: requestItemsMax + 1 }, (_, index) => entryOf(index))
  const canonical = encodeBatch(entries)
  const padded = Buffer.concat([Buffer.of(0x0a, 0xad, 0x00), canonical.subarray(2)])
  const fault = { expected: '1 to 5000 transactions', found: 'more than 5000' }
  for (const [body, length] of [
    [canonical, entryBytes],
    [padded, entryBytes + 1],
  ] as const) {
    const fitting = body.subarray(0, length + (requestItemsMax - 1) * entryBytes)
    assert.equal(parseProtobuf(fitting, into), undefined)
    assert.equal(into.count, requestItemsMax)
    assert.deepEqual(parseProtobuf(body, into), fault)
    assert.equal(into.count, 0)
  }
  assert.deepEqual(parseProtobuf(new Uint8Array(0), into), { ...fault, found: 'none' })
})

test('the same id on the same account is refused with another amount only', () => {
  const [one, two] = [entryOf(1), entryOf(2)]
  const expected = '1, the amount of the same account_id and id in item 1'
  const body = encodeBatch([one, two, entryOf(2, -1n)])
  assert.deepEqual(parseProtobuf(body, into), { index: 2, field: 'amount', expected, found: '-1' })
  assert.equal(parseProtobuf(encodeBatch([one, two, two]), into), undefined)
  assert.equal(into.count, 3)
})
