import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { partitionCount } from '../record/layout.ts'
import { createReceipts } from './receipt.ts'

const key = Buffer.from('a key for tests')
const receipts = createReceipts(key)

function offsetsOf(entries: readonly (readonly [number, number])[]): Float64Array {
  const offsets = new Float64Array(partitionCount).fill(-1)
  for (const [partition, offset] of entries) offsets[partition] = offset
  return offsets
}

function decoded(receipt: string): [number, number][] | string {
  const result = receipts.decode('log', receipt)
  return result.kind === 'receipt' ? [...result.offsets] : result.kind
}

test('a receipt gives back the offsets it was made of', () => {
  const entry = fc.tuple(fc.nat(partitionCount - 1), fc.maxSafeNat())
  const entries = fc.uniqueArray(entry, { selector: ([partition]) => partition, minLength: 1 })
  fc.assert(
    fc.property(entries, (list) => {
      const receipt = receipts.encode('log', offsetsOf(list))
      assert.match(receipt, /^[\w-]+$/)
      assert.deepEqual(
        decoded(receipt),
        [...list].sort(([a], [b]) => a - b),
      )
    }),
  )
})

test('a receipt of all partitions is shorter than 1000 characters', () => {
  const spread = 2 ** 35 - 1
  const entries = Array.from({ length: 128 }, (_, p) => [p, 2 ** 52 + (p % 2) * spread] as const)
  assert(receipts.encode('log', offsetsOf(entries)).length < 1000)
})

test('a receipt is written as it always was', () => {
  const receipt = receipts.encode(
    'log',
    offsetsOf([
      [0, 300],
      [9, 301],
    ]),
  )
  const bytes = Buffer.from(receipt, 'base64url')
  assert.equal(
    bytes.subarray(5, -16).toString('hex'),
    '01020000000000000000000000000000' + 'ac02' + '00' + '01',
  )
  assert.equal(bytes[0], 1)
})

test('a receipt that was changed anywhere, cut or lengthened is refused', () => {
  const receipt = receipts.encode(
    'log',
    offsetsOf([
      [3, 5],
      [100, 6],
    ]),
  )
  const bytes = Buffer.from(receipt, 'base64url')
  for (let i = 0; i < bytes.length; i++) {
    const changed = Buffer.from(bytes)
    changed[i] ^= 1
    assert.equal(decoded(changed.toString('base64url')), 'malformed', `byte ${i}`)
    assert.equal(decoded(bytes.toString('base64url', 0, i)), 'malformed', `first ${i} bytes`)
  }
  for (const text of ['', '=', `${receipt}A`, `${receipt} `, `${receipt}=`, ` ${receipt}`, 'ÿ']) {
    assert.equal(decoded(text), 'malformed', JSON.stringify(text))
  }
})

test('no text at all makes a receipt', () => {
  fc.assert(
    fc.property(fc.string({ maxLength: 300 }), (text) => {
      assert.equal(decoded(text), 'malformed')
    }),
  )
})

test('a receipt of another log, or signed with another key, is refused', () => {
  const offsets = offsetsOf([[3, 5]])
  assert.equal(decoded(receipts.encode('another log', offsets)), 'foreign')
  assert.equal(decoded(createReceipts(Buffer.from('another')).encode('log', offsets)), 'malformed')
})
