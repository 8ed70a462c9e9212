import assert from 'node:assert/strict'
import { test } from 'node:test'
import { decadesAround, ticksUpTo } from './axis.mjs'
import { reportHtml } from './html.mjs'
import { lineChart } from './line-chart.mjs'
import { ratePoints } from './runs.mjs'

const latency = { count: 5000, p50: 1, p99: 20, p999: 300, most: 400 }

function run(name, more = {}) {
  const samples = Array.from({ length: 20 }, (_, i) => ({
    at: i / 2,
    accepted: i * 200_000,
    persisted: i * 190_000,
    lag: i * 10_000,
    programBytes: 3e8,
    postgresBytes: i % 4 === 0 ? 5e8 : undefined,
  }))
  return {
    name,
    title: 'batches of <5000> & more',
    kind: 'load',
    window: {
      from: 2,
      to: 8,
      acceptedPerSecond: 400_000,
      persistedPerSecond: 390_000,
      lagAtStart: 1,
      lagAtEnd: 2,
    },
    latencies: { acknowledged: latency, visible: { ...latency, p999: undefined } },
    cpu: { program: 1.1, postgres: 2.2, load: 0.2 },
    memory: { program: 3e8, postgres: 5e8 },
    disk: { tables: 70, indexes: 60, wal: 150, log: 47 },
    answers: { acknowledged: 10, unanswered: 1, refused: 0 },
    verification: {
      ok: true,
      rows: 10,
      expected: 10,
      accounts: 3,
      through: 'tables',
      problems: [],
    },
    marks: [{ at: 8, label: 'load ends' }],
    samples,
    ...more,
  }
}

const compared = {
  name: 'compare',
  title: 'two builds',
  kind: 'compare',
  of: 'steady',
  sides: ['A', 'B'].map((name) => ({ name, shown: '--workers 1', runs: [run('x'), run('y')] })),
  figures: [{ name: 'persisted', a: 1, b: 2000, ratio: 2, least: 1, most: 3 }, { name: 'p99' }],
}
const curves = [
  {
    name: 'workers',
    points: [
      { value: 1, ...run('1') },
      { value: 2, failure: 'no' },
    ],
  },
]
const limit = {
  name: 'limit',
  title: 'COPY',
  kind: 'limit',
  best: 800_000,
  copy: [{ connections: 1, rowsPerBucket: 20_000, rowsPerSecond: 800_000, rows: 1e7 }],
  flushing: [{ items: 1, appendsPerSecond: 7000, transactionsPerSecond: 7000, latency }],
  transport: [
    { items: 1, requestsPerSecond: 9000, transactionsPerSecond: 9000, loadCpu: 1, latency },
  ],
}
const report = {
  startedAt: '2026-01-02T03:04:05.000Z',
  machine: { cores: 2, cpu: 'X', memoryBytes: 1e10, kernel: 'Linux', node: '20' },
  options: { seconds: 6, warmUpSeconds: 2, flags: ['--workers', '1'], urls: [] },
  limit: 800_000,
  results: [
    limit,
    run('steady'),
    run('broken', { failure: 'the program ended: <EOF>' }),
    run('wrong', { verification: { ok: false, rows: 1, expected: 2, problems: ['a<b'] } }),
    run('crash', { outage: { silence: 1, restarted: 1, persisting: 1, resumed: 2 } }),
    compared,
    { name: 'scale', title: 'curves', kind: 'scale', curves },
  ],
}

/** The elements that are not closed where they should be. */
function unclosed(html) {
  const open = []
  const problems = []
  for (const [tag, slash, name, rest] of html.matchAll(/<(\/?)([a-z][a-z0-9]*)([^<>]*)>/gi)) {
    if (['meta', 'br'].includes(name) || rest.endsWith('/')) continue
    if (slash === '') open.push(name)
    else if (open.pop() !== name) problems.push(tag)
  }
  return [...problems, ...open]
}

test('the page is well-formed, and text from outside cannot break out of it', () => {
  const html = reportHtml(report)
  assert.deepEqual(unclosed(html), [])
  assert.ok(html.startsWith('<!doctype html>'))
  assert.ok(html.includes('batches of &lt;5000&gt; &amp; more'))
  assert.ok(html.includes('the program ended: &lt;EOF&gt;') && html.includes('a&lt;b'))
  assert.doesNotMatch(html, /NaN|undefined|Infinity|\[object/)
})

test('the page needs nothing from elsewhere', () => {
  const html = reportHtml(report)
  assert.doesNotMatch(html, /https?:|src=|href=|url\(|@import|<script/)
})

test('a ledger that is not as acknowledged is not called verified', () => {
  const html = reportHtml({ ...report, results: [report.results[3]] })
  assert.match(html, /Not what was acknowledged: 1 rows, 2 acknowledged/)
  assert.doesNotMatch(html, /Verified through/)
})

test('what is not known is a dash, not a zero', () => {
  const bare = run('bare', {
    cpu: { load: 0.2 },
    memory: {},
    disk: { log: undefined },
    window: { from: 0, to: 1, acceptedPerSecond: 5 },
    samples: [{ at: 0 }, { at: 1, acknowledged: 5 }],
  })
  const html = reportHtml({ ...report, limit: undefined, results: [bare] })
  assert.deepEqual(unclosed(html), [])
  assert.doesNotMatch(html, /NaN|undefined/)
  assert.match(html, /<td>–<\/td>/)
})

test('a line has a gap where nothing is known', () => {
  const points = [0, 1, undefined, 3, 4].map((value, at) => ({ at, value }))
  const svg = lineChart({ title: 'x', series: [{ name: 'a', kind: 'a', points }] })
  const [, path] = /<path[^>]* d="([^"]*)"/.exec(svg)
  assert.equal(path.match(/M/g).length, 2)
})

test('rates are those of about a second, and stop while the program does not answer', () => {
  const samples = [0, 0.5, 1, 1.5, 2, 2.5].map((at) => ({ at, accepted: at * 100 }))
  const after = [{ at: 3 }, { at: 3.5, accepted: 250 }, { at: 4.5, accepted: 310 }]
  assert.deepEqual(ratePoints([...samples, ...after], 'accepted'), [
    { at: 0.5, value: 100 },
    { at: 1.5, value: 100 },
    { at: 2.25, value: 100 },
    { at: 3, value: undefined },
    { at: 4, value: 60 },
  ])
})

test('ticks are round, begin at 0 and reach the largest value', () => {
  assert.deepEqual(ticksUpTo(430_000), [0, 100_000, 200_000, 300_000, 400_000, 500_000])
  assert.deepEqual(ticksUpTo(0), [0, 1])
  assert.deepEqual(decadesAround([3, 250]), [1, 10, 100, 1000])
  for (const most of [0.3, 1, 7, 12, 99, 1e6]) {
    const ticks = ticksUpTo(most)
    assert.ok(ticks.at(-1) >= most && ticks.length >= 3 && ticks.length <= 7, `${most}: ${ticks}`)
  }
})
