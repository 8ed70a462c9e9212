// Tests of when a worker rests.
// In:  nothing.
// Out: tests.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Rest } from './rest.ts'

test('a worker rests for as long as its last flush took', () => {
  const rest = new Rest()
  assert.equal(rest.left(1000, 1), 0, 'nothing was flushed yet')
  rest.worked(1000, 1006)
  assert.equal(rest.left(1006, 1), 6)
  assert.equal(rest.left(1010, 1), 2)
  assert.equal(rest.left(1013, 1), 0)
})

test('no rest is longer than 100 ms', () => {
  const rest = new Rest()
  rest.worked(0, 5000)
  assert.equal(rest.left(5000, 1), 100)
})

test('nobody rests while a flush worth its cost waits', () => {
  const rest = new Rest()
  rest.worked(0, 50)
  assert.equal(rest.left(50, 4 << 20), 0)
})
