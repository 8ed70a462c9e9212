import assert from 'node:assert/strict'
import test from 'node:test'
import { RepeatWatch } from './repeats.ts'

const flush = [{ bucket: 1 }]

/** Flushes without a repetition until none is expected; returns how many. */
function quietFlushes(watch: RepeatWatch): number {
  let flushes = 0
  while (watch.expected(1)) {
    watch.saw(flush, [])
    flushes++
  }
  return flushes
}

test('where something repeats more is expected for a while, longer each time that comes true', () => {
  const watch = new RepeatWatch(16)
  assert.equal(watch.expected(1), false)
  const terms = [1, 2, 3, 4, 5].map(() => {
    watch.saw(flush, [1])
    return quietFlushes(watch)
  })
  assert.deepEqual(terms, [8, 16, 32, 64, 64])
  assert.equal(watch.expected(2), false)
})

test('a bucket where nothing repeats is trusted again', () => {
  const watch = new RepeatWatch(16)
  watch.saw(flush, [1])
  quietFlushes(watch)
  watch.saw(flush, [])
  watch.saw(flush, [1])
  assert.equal(quietFlushes(watch), 8)
})

test('as long as there are repetitions they are expected', () => {
  const watch = new RepeatWatch(16)
  for (let i = 0; i < 100; i++) {
    watch.saw(flush, [1])
    watch.saw(flush, [])
    assert.equal(watch.expected(1), true)
  }
  assert.equal(quietFlushes(watch), 7)
})
