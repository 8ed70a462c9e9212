import assert from 'node:assert/strict'
import test from 'node:test'
import { slice, sliceFields } from './protocol.ts'
import { SliceQueue } from './slices.ts'

function message(...offsets: number[]): Float64Array {
  const numbers = new Float64Array(offsets.length * sliceFields)
  offsets.forEach((offset, i) => {
    numbers[i * sliceFields + slice.offset] = offset
  })
  return numbers
}

function offsets(queue: SliceQueue, most = Infinity): number[] {
  const seen: number[] = []
  queue.visit((numbers, at) => {
    if (seen.length >= most) return false
    seen.push(numbers[at + slice.offset])
    return true
  })
  return seen
}

test('slices are seen in order of arrival until they are dropped', () => {
  const queue = new SliceQueue()
  queue.push(message(1, 2))
  queue.push(message())
  queue.push(message(3, 4, 5))
  assert.deepEqual(offsets(queue), [1, 2, 3, 4, 5])
  assert.deepEqual(offsets(queue, 3), [1, 2, 3])
  queue.drop(1, 0)
  assert.deepEqual(offsets(queue), [2, 3, 4, 5])
  queue.drop(3, 0)
  assert.deepEqual(offsets(queue), [5])
  assert.equal(queue.length, 1)
  queue.push(message(6))
  queue.drop(2, 0)
  assert.deepEqual(offsets(queue), [])
  assert.equal(queue.length, 0)
})

test('what waits is measured in the ring, whatever becomes of the lengths of records', () => {
  const queue = new SliceQueue()
  const numbers = message(1, 2, 3)
  for (const [at, end] of [100, 300, 600].entries()) {
    numbers[at * sliceFields + slice.ringEnd] = end
    numbers[at * sliceFields + slice.length] = end
  }
  queue.push(numbers)
  assert.equal(queue.bytes, 600)
  // A record that is rewritten in the ring is shorter than it was.
  numbers[slice.length] = 1
  queue.drop(2, 300)
  assert.equal(queue.bytes, 300)
  queue.drop(1, 600)
  assert.equal(queue.bytes, 0)
})
