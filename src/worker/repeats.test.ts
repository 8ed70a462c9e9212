import assert from 'node:assert/strict'
import test from 'node:test'
import type { BucketRows } from '../ledger/flush.ts'
import { RepeatWatch } from './repeats.ts'

/**
 * Flushes bucket 1 until it takes the direct path again; returns how many flushes were merged at
 * once.
 */
function mergedAtOnce(watch: RepeatWatch): number {
  let flushes = 0
  while (watch.expected(1)) {
    watch.saw([flushOf(1, true)], [1])
    flushes++
  }
  return flushes
}

function flushOf(bucket: number, mayRepeat: boolean): BucketRows {
  return { bucket, mayRepeat, isOpen: false, rows: 1, copy: new Uint8Array() }
}

test('a bucket whose COPY met a repeat is merged for a while, longer each time it happens again', () => {
  const watch = new RepeatWatch(16)
  assert.equal(watch.expected(1), false)
  const terms = [1, 2, 3, 4, 5].map(() => {
    watch.saw([flushOf(1, false)], [1])
    return mergedAtOnce(watch)
  })
  assert.deepEqual(terms, [8, 16, 32, 64, 64])
  assert.equal(watch.expected(2), false)
})

test('a bucket that is copied without a repeat is trusted again', () => {
  const watch = new RepeatWatch(16)
  watch.saw([flushOf(1, false)], [1])
  mergedAtOnce(watch)
  watch.saw([flushOf(1, false)], [])
  watch.saw([flushOf(1, false)], [1])
  assert.equal(mergedAtOnce(watch), 8)
})
