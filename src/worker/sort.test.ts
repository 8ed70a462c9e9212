import assert from 'node:assert/strict'
import test from 'node:test'
import fc from 'fast-check'
import { accountIdAt, entryBytes, idAt } from '../record/layout.ts'
import { compareKeys, EntrySorter } from './sort.ts'

/** Entries whose keys come from the given bytes, one entry after the other. */
function entriesOf(keys: readonly { account: Uint8Array; id: Uint8Array }[]): DataView {
  const bytes = new Uint8Array(keys.length * entryBytes)
  keys.forEach(({ account, id }, i) => {
    bytes.set(account, i * entryBytes + accountIdAt)
    bytes.set(id, i * entryBytes + idAt)
  })
  return new DataView(bytes.buffer)
}

function checkSorted(keys: readonly { account: Uint8Array; id: Uint8Array }[]): void {
  const view = entriesOf(keys)
  const positions = Uint32Array.from(keys, (_, i) => i * entryBytes)
  const order = Uint32Array.from(keys, (_, i) => i)
  new EntrySorter(keys.length).sort(view, positions, order, 0, keys.length)
  const hex = keys.map(({ account, id }) => Buffer.concat([account, id]).toString('hex'))
  const expected = keys.map((_, i) => i)
  expected.sort((a, b) => (hex[a] < hex[b] ? -1 : hex[a] > hex[b] ? 1 : a - b))
  assert.deepEqual([...order], expected)
}

/** UUIDs that differ in few or many places, so that every word and run length occurs. */
const uuid = fc.oneof(
  fc.uint8Array({ minLength: 16, maxLength: 16 }),
  fc
    .tuple(fc.nat(15), fc.nat(2))
    .map(([at, value]) => Uint8Array.from({ length: 16 }, (_, i) => (i === at ? value : 7))),
)
const key = fc.record({ account: uuid, id: uuid })

test('entries come in the order of PostgreSQL’s key, log order kept among equals', () => {
  fc.assert(fc.property(fc.array(key, { minLength: 1, maxLength: 300 }), checkSorted))
})

test('one hot account is ordered by id, however many entries it has', () => {
  const account = new Uint8Array(16).fill(9)
  const keys = Array.from({ length: 5000 }, (_, i) => {
    const id = new Uint8Array(16)
    new DataView(id.buffer).setUint32(4, (i * 2654435761) % 3000)
    return { account, id }
  })
  checkSorted(keys)
})

test('only the given range is touched', () => {
  const keys = Array.from({ length: 100 }, (_, i) => ({
    account: new Uint8Array(16).fill(100 - i),
    id: new Uint8Array(16),
  }))
  const view = entriesOf(keys)
  const positions = Uint32Array.from(keys, (_, i) => i * entryBytes)
  const order = Uint32Array.from(keys, (_, i) => i)
  new EntrySorter(100).sort(view, positions, order, 10, 90)
  const untouched = [...order.subarray(0, 10), ...order.subarray(90)]
  assert.deepEqual(untouched, [
    ...Array(10).keys(),
    ...Array.from({ length: 10 }, (_, i) => 90 + i),
  ])
  assert.deepEqual(
    [...order.subarray(10, 90)],
    Array.from({ length: 80 }, (_, i) => 89 - i),
  )
})

test('keys compare as unsigned big-endian bytes', () => {
  const low = { account: new Uint8Array(16), id: new Uint8Array(16).fill(0x7f) }
  const high = { account: new Uint8Array(16), id: new Uint8Array(16).fill(0x80) }
  assert.ok(compareKeys(entriesOf([low, high]), 0, entryBytes) < 0)
})
