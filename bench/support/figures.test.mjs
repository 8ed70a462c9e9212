import assert from 'node:assert/strict'
import { test } from 'node:test'
import { rateBetween } from '../scenarios/burst.mjs'
import { compareFigure } from '../scenarios/compare.mjs'
import { Histogram } from './histogram.mjs'
import { median } from './median.mjs'
import { parseMetrics } from './metrics.mjs'
import { Counters } from './sampler.mjs'

test('percentiles are at most 2% above those of the sorted durations', () => {
  const histogram = new Histogram()
  const values = Array.from({ length: 10_000 }, (_, i) => 0.05 * 1.001 ** ((i * 7919) % 10_000))
  for (const value of values) histogram.record(value)
  values.sort((a, b) => a - b)
  for (const share of [0.5, 0.99, 0.999]) {
    const exact = values[Math.ceil(values.length * share) - 1]
    const found = histogram.percentile(share)
    assert.ok(found >= exact * 0.999 && found <= exact * 1.021, `${share}: ${found}, not ${exact}`)
  }
  assert.equal(histogram.summary().most, values.at(-1))
})

test('a percentile of too few durations is not given', () => {
  const histogram = new Histogram()
  assert.equal(histogram.percentile(0.5), undefined)
  for (let i = 0; i < 99; i++) histogram.record(1)
  assert.equal(histogram.percentile(0.99), undefined)
  histogram.record(1)
  assert.ok(histogram.percentile(0.99) <= 1)
  assert.equal(histogram.percentile(0.999), undefined)
})

test('durations below and above all buckets are counted', () => {
  const histogram = new Histogram()
  for (const ms of [0, 0.001, 1e9]) histogram.record(ms)
  assert.equal(histogram.count, 3)
  assert.equal(
    histogram.buckets().reduce((sum, { count }) => sum + count, 0),
    3,
  )
})

test('counters go on where a restarted program begins at 0', () => {
  const counters = new Counters()
  assert.deepEqual(counters.follow({ accepted: 100 }), { accepted: 100 })
  assert.deepEqual(counters.follow({ accepted: 150 }), { accepted: 150 })
  assert.deepEqual(counters.follow({ accepted: 20 }), { accepted: 170 })
  assert.deepEqual(counters.follow({ accepted: 30 }), { accepted: 180 })
  assert.equal(counters.restarts, 1)
})

test('metrics are summed over their labels', () => {
  const text =
    '# HELP a x\nledger_lag{partition="0"} 2\nledger_lag{partition="1"} 3\nother_total 7\n'
  assert.deepEqual(
    [...parseMetrics(text)],
    [
      ['ledger_lag', 5],
      ['other_total', 7],
    ],
  )
})

test('the median of an even number is between the two in the middle', () => {
  assert.equal(median([3, 1, 2]), 2)
  assert.equal(median([4, 1, 2, 3]), 2.5)
})

test('a comparison has the ratio of the medians and the spread of the rounds', () => {
  const sides = [
    [1, 2, 3],
    [3, 2, 4],
  ].map((runs) => ({ runs }))
  assert.deepEqual(
    compareFigure('x', (run) => run, sides),
    { name: 'x', a: 2, b: 3, ratio: 1.5, least: 1, most: 3 },
  )
  const unknown = [{ runs: [1] }, { runs: [undefined] }]
  assert.deepEqual(
    compareFigure('x', (run) => run, unknown),
    { name: 'x' },
  )
})

test('a rate between two seconds is that of the samples closest to them', () => {
  const samples = [0, 1, 2, 3].map((at) => ({ at, accepted: at * at * 100 }))
  samples.push({ at: 2.1 })
  assert.equal(rateBetween(samples, 'accepted', 1.1, 2.9), 400)
})
