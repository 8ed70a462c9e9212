import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BinaryWriter } from '@bufbuild/protobuf/wire'
import fc from 'fast-check'
import { varintEnd, varintValue } from './varint.ts'

function view(...bytes: number[]): DataView {
  return new DataView(Uint8Array.from(bytes).buffer)
}

test('a varint has the value that @bufbuild/protobuf wrote', () => {
  fc.assert(
    fc.property(fc.bigInt({ min: 0n, max: 2n ** 53n - 1n }), (value) => {
      const bytes = view(...new BinaryWriter().uint64(value).finish())
      assert.equal(varintEnd(bytes, 0, bytes.byteLength), bytes.byteLength)
      assert.equal(varintValue(bytes, 0, bytes.byteLength), Number(value))
    }),
  )
})

test('a varint may be padded up to ten bytes', () => {
  const padded = view(0xad, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x00)
  assert.equal(varintEnd(padded, 0, 10), 10)
  assert.equal(varintValue(padded, 0, 10), 45)
})

test('a varint that is cut, or longer than ten bytes, has no end', () => {
  assert.equal(varintEnd(view(), 0, 0), -1)
  assert.equal(varintEnd(view(0x80), 0, 1), -1)
  assert.equal(varintEnd(view(0xff, 0x01), 0, 1), -1)
  assert.equal(varintEnd(view(...Array<number>(10).fill(0x80), 0), 0, 11), -1)
})

test('a varint beyond 2^53 never reads as a small number', () => {
  const bytes = view(...Array<number>(9).fill(0xff), 0x01)
  assert.equal(varintValue(bytes, 0, 10), 2 ** 64)
})
