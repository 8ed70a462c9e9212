import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { partitionCount } from '../record/layout.ts'
import { createReceipts, type RequestRecords } from './receipt.ts'

const receipts = createReceipts(Buffer.from('a key for tests'))
const items = { count: 3, digest: 0xfeedbeef }
const now = 1_790_000_000_000

/** Partition, offset, and time. */
type Entry = readonly [partition: number, offset: number, time: number]

function recordsOf(entries: readonly Entry[]): RequestRecords {
  const none = (): Float64Array => new Float64Array(partitionCount).fill(-1)
  const records = { offsets: none(), times: none() }
  for (const [partition, offset, time] of entries) {
    records.offsets[partition] = offset
    records.times[partition] = time
  }
  return records
}

function encoded(entries: readonly Entry[], log = 'log', of = items): string {
  return receipts.encode(log, recordsOf(entries), of)
}

function decoded(text: string): Entry[] | string {
  const result = receipts.decode(text)
  if (result.kind !== 'receipt') return result.kind
  return [...result.receipt.records].map(([p, { offset, time }]) => [p, offset, time])
}

test('a receipt gives back the records and items it was made of', () => {
  const entry = fc.tuple(fc.nat(partitionCount - 1), fc.maxSafeNat(), fc.nat(2 ** 42))
  const entries = fc.uniqueArray(entry, { selector: ([partition]) => partition, minLength: 1 })
  const item = fc.record({ count: fc.integer({ min: 1, max: 5000 }), digest: fc.nat(0xffffffff) })
  fc.assert(
    fc.property(entries, item, fc.boolean(), (list, of, alike) => {
      const given = alike ? list.map(([p, offset]) => [p, offset, now] as const) : list
      const text = encoded(given, 'log', of)
      assert.match(text, /^[\w-]+$/)
      assert.deepEqual(
        decoded(text),
        [...given].sort(([a], [b]) => a - b),
      )
      const result = receipts.decode(text)
      assert(result.kind === 'receipt')
      const { count, digest } = result.receipt
      assert.deepEqual([count, digest], [of.count, of.digest])
    }),
  )
})

test('a receipt of all partitions is short enough for a URL', () => {
  const spread = 2 ** 35 - 1
  const of = { count: 5000, digest: 0xffffffff }
  const every = (late: number): Entry[] =>
    Array.from({ length: 128 }, (_, p) => [p, 2 ** 52 + (p % 2) * spread, now + (p % 2) * late])
  assert(encoded(every(0), 'log', of).length < 1000)
  assert(encoded(every(127), 'log', of).length < 1200)
  assert(encoded(every(16_000), 'log', of).length < 1300)
})

test('a receipt is written as it always was', () => {
  const text = encoded([
    [0, 300, now],
    [9, 301, now + 2],
  ])
  const bytes = Buffer.from(text, 'base64url')
  assert.equal(bytes[0], 2)
  assert.equal(
    bytes.subarray(5, -16).toString('hex'),
    'feedbeef' + '01020000000000000000000000000000' + '03' + 'ac020001' + '80d8c1a28c34' + '0002',
  )
})

test('a receipt that was changed in any byte, cut or lengthened is refused', () => {
  const text = encoded([
    [3, 5, now],
    [100, 6, now],
  ])
  const bytes = Buffer.from(text, 'base64url')
  for (let i = 0; i < bytes.length; i++) {
    for (const bit of [1, 128]) {
      const changed = Buffer.from(bytes)
      changed[i] ^= bit
      assert.equal(decoded(changed.toString('base64url')), 'malformed', `byte ${i}`)
    }
    assert.equal(decoded(bytes.toString('base64url', 0, i)), 'malformed', `first ${i} bytes`)
  }
  for (const other of ['', '=', `${text}A`, `${text} `, `${text}=`, ` ${text}`, 'ÿ']) {
    assert.equal(decoded(other), 'malformed', JSON.stringify(other))
  }
})

test('no text at all makes a receipt', () => {
  fc.assert(
    fc.property(fc.string({ maxLength: 300 }), (text) => {
      assert.equal(decoded(text), 'malformed')
    }),
  )
})

test('a receipt knows its log, and one signed with another key is refused', () => {
  const result = receipts.decode(encoded([[3, 5, now]], 'another log'))
  assert(result.kind === 'receipt')
  assert.deepEqual(
    ['log', 'another log', 'log'].map((log) => result.receipt.isOf(log)),
    [false, true, false],
  )
  const theirs = createReceipts(Buffer.from('another key'))
  assert.equal(decoded(theirs.encode('log', recordsOf([[3, 5, now]]), items)), 'malformed')
})
