import assert from 'node:assert/strict'
import test from 'node:test'
import { keySetKeysMax } from '../limits.ts'
import { entryBytes, idAt } from '../record/layout.ts'
import { KeySet } from './key-set.ts'
import { RecentKeys } from './recent-keys.ts'

/** Entries with ids from `first` on, one after the other. */
function entries(count: number, first: number): DataView {
  const view = new DataView(new ArrayBuffer(count * entryBytes))
  for (let i = 0; i < count; i++) view.setUint32(i * entryBytes + idAt, first + i)
  return view
}

const half = keySetKeysMax / 2
const spare = (): KeySet => new KeySet()

/** Whether any, and whether every entry is seen as one that may be in the ledger. */
function see(keys: RecentKeys, time: number, view: DataView): { any: boolean; every: boolean } {
  let seen = 0
  const count = view.byteLength / entryBytes
  for (let i = 0; i < count; i++) if (keys.see(time, view, i * entryBytes)) seen++
  return { any: seen > 0, every: seen === count }
}

test('an id newer than all before is new once', () => {
  const keys = new RecentKeys(new KeySet(), 1000)
  const view = entries(100, 1)
  assert.equal(see(keys, 1001, view).any, false)
  assert.equal(see(keys, 1001, view).every, true)
})

test('an id from before we began may be in the ledger', () => {
  const keys = new RecentKeys(new KeySet(), 1000)
  assert.equal(see(keys, 1000, entries(100, 1)).every, true)
})

test('where nothing had been seen all ids of the first flush are doubtful, none after it', () => {
  const keys = new RecentKeys(new KeySet(), 0)
  keys.beginFlush(0, spare)
  assert.equal(see(keys, 2000, entries(100, 1)).every, true)
  keys.beginFlush(2000, spare)
  assert.equal(see(keys, 2001, entries(100, 101)).any, false)
})

test('what is forgotten is old, what is remembered is found', () => {
  const keys = new RecentKeys(new KeySet(), 1000)
  // Of two million keys, a handful may look like another.
  const isNew = (time: number, first: number): boolean => {
    const view = entries(half, first)
    let seen = 0
    for (let i = 0; i < half; i++) if (keys.see(time, view, i * entryBytes)) seen++
    keys.beginFlush(time, spare)
    return seen < 10
  }
  assert(isNew(1001, half))
  assert(isNew(1002, 2 * half))
  // The first set is full here.
  for (let turn = 3; turn <= 6; turn++) assert(isNew(1000 + turn, turn * half), `turn ${turn}`)
  assert.equal(see(keys, 1001, entries(half, half)).every, true)
  assert.equal(see(keys, 1004, entries(half, 4 * half)).every, true)
  assert.equal(see(keys, 1006, entries(half, 6 * half)).every, true)
  assert.equal(keys.sets.length, 2)
})
