import assert from 'node:assert/strict'
import { test } from 'node:test'
import { uuidv7 } from '../../dist/client/index.js'

test('ids are UUIDv7, each greater than the one before', () => {
  const ids = Array.from({ length: 100_000 }, uuidv7)
  for (const [i, id] of ids.entries()) {
    assert.match(id, /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
    if (i > 0) assert(id > ids[i - 1], `${id} after ${ids[i - 1]}`)
  }
  const at = Number.parseInt(ids[0].replace('-', '').slice(0, 12), 16)
  assert(Math.abs(at - Date.now()) < 60_000)
})

test('ids go on rising when the clock goes back', (t) => {
  const before = uuidv7()
  t.mock.method(Date, 'now', () => 1_000_000)
  const after = Array.from({ length: 10_000 }, uuidv7)
  assert.deepEqual([before, ...after].toSorted(), [before, ...after])
})
