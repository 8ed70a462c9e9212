import assert from 'node:assert/strict'
import test from 'node:test'
import { entryBytes } from '../record/layout.ts'
import { keySetKeysMax } from '../limits.ts'
import { BucketKeys } from './bucket-keys.ts'
import { KeySet } from './key-set.ts'

/** Entries whose keys count up from `first`: alike in all but a few bits. */
function entries(count: number, first = 0): DataView {
  const view = new DataView(new ArrayBuffer(count * entryBytes))
  for (let i = 0; i < count; i++) {
    view.setUint32(i * entryBytes + 4, 0x0190_0000)
    view.setUint32(i * entryBytes + 16, first + i)
    view.setUint32(i * entryBytes + 22, (first + i) % 7)
  }
  return view
}

test('every key that was added is found, and hardly any other', () => {
  const count = 100_000
  const keys = new KeySet()
  const view = entries(2 * count)
  let seen = 0
  for (let i = 0; i < count; i++) if (keys.add(view, i * entryBytes)) seen++
  assert(seen <= 1, `${seen} of ${count} fresh keys were taken for known ones`)
  for (let i = 0; i < count; i++) assert.equal(keys.add(view, i * entryBytes), true)
  let mistaken = 0
  for (let i = count; i < 2 * count; i++) if (keys.add(view, i * entryBytes)) mistaken++
  assert(mistaken <= 1, `${mistaken} of ${count} fresh keys were taken for known ones`)
})

test('the amount is no part of the key, and both of its ids are', () => {
  const keys = new KeySet()
  const view = entries(1)
  assert.equal(keys.add(view, 0), false)
  view.setUint8(entryBytes - 1, 9)
  assert.equal(keys.add(view, 0), true)
  view.setUint8(4 + 15, 1)
  assert.equal(keys.add(view, 0), false)
  view.setUint8(22 + 15, 1)
  assert.equal(keys.add(view, 0), false)
})

test('a set that is cleared knows nothing', () => {
  const keys = new KeySet()
  keys.add(entries(1), 0)
  keys.clear()
  assert.deepEqual([keys.size, keys.add(entries(1), 0)], [0, false])
})

function at(time: number): DataView {
  const view = entries(1)
  view.setUint32(4, Math.floor(time / 0x10000))
  view.setUint16(8, time % 0x10000)
  return view
}

function bucketWith(span: { from: number; to: number }): BucketKeys {
  const bucket = new BucketKeys()
  bucket.leaves = [{ ...span, table: 'leaf', keys: new KeySet(), openedAt: 0 }]
  bucket.newestMax = 5000
  return bucket
}

test('only keys within the span of an open leaf are remembered', () => {
  const bucket = bucketWith({ from: 1000, to: 2000 })
  const twice = [999, 1000, 1999, 2000].map((time) => {
    bucket.see(at(time), 0)
    return bucket.see(at(time), 0)
  })
  assert.deepEqual(twice, [false, true, true, false])
})

test('ids from the future do not count as the newest', () => {
  const bucket = bucketWith({ from: 1000, to: 2000 })
  for (const time of [1500, 5001, 3000, 2 ** 48 - 1]) bucket.see(at(time), 0)
  assert.equal(bucket.newest, 3000)
})

test('a leaf with more keys than can be remembered asks for its key', () => {
  const bucket = bucketWith({ from: 0, to: 2 ** 48 })
  const view = entries(keySetKeysMax)
  for (let i = 0; i < keySetKeysMax; i++) bucket.see(view, i * entryBytes)
  assert.equal(bucket.leaves[0].keys.isFull || bucket.mustSeal, true)
  bucket.see(entries(1, 2 ** 31), 0)
  assert.equal(bucket.mustSeal, true)
})
