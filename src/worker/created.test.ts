import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { timestampMax, timestampMin } from '../limits.ts'
import { createdAfter } from './created.ts'

test('a record has its own time, to the microsecond as PostgreSQL counts', () => {
  assert.equal(createdAfter(-Infinity, Date.UTC(2000, 0, 1)), 0)
  assert.equal(createdAfter(5, Date.UTC(2000, 0, 1, 0, 0, 1)), 1_000_000)
})

test('records of one millisecond, and after a clock that went back, follow by microseconds', () => {
  assert.equal(createdAfter(7_000, Date.UTC(2000, 0, 1) + 7), 7_001)
  assert.equal(createdAfter(7_001, Date.UTC(2000, 0, 1) + 7), 7_002)
  assert.equal(createdAfter(7_002, Date.UTC(1999, 0, 1)), 7_003)
})

test('whatever the clocks say, each record is later than the one before', () => {
  const timestamp = fc.integer({ min: timestampMin, max: timestampMax })
  fc.assert(
    fc.property(fc.array(timestamp, { maxLength: 50 }), (timestamps) => {
      let previous = -Infinity
      for (const each of timestamps) {
        const created = createdAfter(previous, each)
        assert(created > previous && Number.isInteger(created))
        previous = created
      }
    }),
  )
})
