import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fromBinary, toBinary, create } from '@bufbuild/protobuf'
import fc from 'fast-check'
import { anyEntry } from '../testing/encodings.ts'
import { encodeBatch, writeEntryFrame } from './encode.ts'
import { TransactionBatchSchema } from './gen/ledger/v1/ledger_pb.ts'

const id = Buffer.from('0190b6e5f00d7abc8def0123456789ab', 'hex')
const accountId = Buffer.from('ffeeddccbbaa99887766554433221100', 'hex')

test('an entry has these 47 bytes', () => {
  const bytes = encodeBatch([{ id, accountId, amount: -2n }])
  const expected =
    '0a2d' +
    '0a100190b6e5f00d7abc8def0123456789ab' +
    '1210ffeeddccbbaa99887766554433221100' +
    '19feffffffffffffff'
  assert.equal(Buffer.from(bytes).toString('hex'), expected)
})

test('the frame of an entry is its seven bytes of tags and lengths, and touches no other', () => {
  const bytes = Buffer.alloc(51, 0xee)
  writeEntryFrame(new DataView(bytes.buffer, bytes.byteOffset, bytes.length), 2)
  const untouched = (count: number) => 'ee'.repeat(count)
  const expected = [
    untouched(2),
    '0a2d0a10',
    untouched(16),
    '1210',
    untouched(16),
    '19',
    untouched(10),
  ]
  assert.equal(bytes.toString('hex'), expected.join(''))
})

test('a batch is what @bufbuild/protobuf writes, and reads back the same', () => {
  fc.assert(
    fc.property(fc.array(anyEntry, { maxLength: 20 }), (entries) => {
      const bytes = encodeBatch(entries)
      const message = create(TransactionBatchSchema, { transactions: entries })
      assert.deepEqual(bytes, toBinary(TransactionBatchSchema, message))
      assert.deepEqual(fromBinary(TransactionBatchSchema, bytes), message)
    }),
  )
})

test('batches one after the other are one batch', () => {
  fc.assert(
    fc.property(fc.array(anyEntry), fc.array(anyEntry), (first, second) => {
      const bytes = Uint8Array.from([...encodeBatch(first), ...encodeBatch(second)])
      const expected = create(TransactionBatchSchema, { transactions: [...first, ...second] })
      assert.deepEqual(fromBinary(TransactionBatchSchema, bytes), expected)
    }),
  )
})
