import assert from 'node:assert/strict'
import test from 'node:test'
import { LagMeter } from './lag.ts'

const ranges = new Map([[1, { first: 0, next: 10 }]])

test('lag is what the log holds and PostgreSQL does not', () => {
  const meter = new LagMeter()
  meter.begin(1, 4)
  assert.deepEqual(meter.measure(ranges, 1000).get(1), { records: 6, seconds: 0 })
  meter.received(1, 4, 500)
  assert.deepEqual(meter.measure(ranges, 3000).get(1), { records: 6, seconds: 2 })
  meter.committed(1, 10, 2500)
  assert.deepEqual(meter.measure(ranges, 3000).get(1), { records: 0, seconds: 0 })
})

test('after a partial commit the age counts from the last record committed', () => {
  const meter = new LagMeter()
  meter.begin(1, 0)
  meter.received(1, 0, 1000)
  meter.received(1, 1, 2000)
  meter.committed(1, 1, 1000)
  assert.deepEqual(meter.measure(new Map([[1, { first: 0, next: 2 }]]), 4000).get(1), {
    records: 1,
    seconds: 3,
  })
})

test('an idle partition that gets a record does not look old', () => {
  const meter = new LagMeter()
  meter.begin(1, 0)
  meter.received(1, 0, 1000)
  meter.committed(1, 1, 1000)
  const later = 3_600_000
  meter.received(1, 1, later)
  const lag = meter.measure(new Map([[1, { first: 0, next: 2 }]]), later + 5).get(1)
  assert.deepEqual(lag, { records: 1, seconds: 0.005 })
})
