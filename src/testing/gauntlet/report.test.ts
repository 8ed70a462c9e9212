import assert from 'node:assert/strict'
import { test } from 'node:test'
import { reportHtml } from './report-html.ts'
import { reportText } from './report-text.ts'
import type { Report } from './report.ts'
import { makeSchedule } from './schedule.ts'
import { Timeline } from './timeline.ts'

const schedule = makeSchedule({
  ...{ seed: 42, minutes: 0.1, log: 'embedded' },
  faults: [{ name: 'kill-program', holdMs: [10, 20] }],
})

function makeReport(breaches: readonly string[]): Report {
  const timeline = new Timeline(() => undefined)
  timeline.note('something struck')
  for (const acknowledgedMs of [300, 100, 200]) {
    const times = { struckAt: 1, healedAt: 2, acknowledgedMs, persistedMs: acknowledgedMs * 10 }
    timeline.recoveries.push({ step: 1, faults: ['kill-program'], ...times })
  }
  for (const at of [1, 2, 3]) timeline.samples.push({ at, acknowledged: at * 100, persisted: 50 })
  const memory = [{ name: 'program', bytes: 2 ** 27, usualBytes: 2 ** 27 }]
  const rounds = [{ rows: 7000, conflicts: 3, quarantined: 1, lagMs: 1500, breaches: [], memory }]
  const run = {
    ...{ log: 'embedded' as const, schedule, timeline, breaches, missed: [], rounds, left: [] },
    ...{ acknowledgedItems: 7000, sentItems: 7100, answers: { acknowledged: 9 }, seconds: 6 },
  }
  return {
    options: {
      ...{ seed: 42, minutes: 0.1, logs: ['embedded'], faults: [], itemsPerSecond: 8000 },
      ...{ trials: false, out: '', quiet: true },
    },
    ...{ runs: [run], trials: [], finishedAt: new Date(0) },
    machine: {
      ...{ cores: 2, cpu: 'A & B', memoryGiB: 8, kernel: 'Linux', node: '20', commit: undefined },
    },
  }
}

test('the report tells the times to resume by fault, median and most', () => {
  const text = reportText(makeReport([]))
  assert.match(text, /Everything held\. Seed 42/)
  assert.match(text, /\| kill-program \| process \| 3 \| 0\.20 s, 0\.30 s \| 2\.00 s, 3\.00 s \|/)
  assert.match(text, /7,000 transactions acknowledged of 7,100 sent/)
})

test('after a breach it tells seed, schedule, timeline, and how to see it again', () => {
  const text = reportText(makeReport(['lost: account a id b']))
  assert.match(text, /1 breaches\./)
  assert.match(text, /- lost: account a id b/)
  assert.match(text, /1 kill-program: after \d+ ms, for \d+ ms, chances \d+/)
  assert.match(text, /something struck/)
  assert.match(
    text,
    /npm run gauntlet -- --seed 42 --minutes 0\.1 --log embedded --rate 8000 --no-trials/,
  )
})

test('the page holds the same, needs nothing else, and shows text as text', () => {
  const page = reportHtml(makeReport(['lost: <b>']))
  assert.match(page, /kill-program/)
  assert.match(page, /lost: &lt;b&gt;/)
  assert.match(page, /A &amp; B/)
  assert.match(page, /<path class="accepted" d="M/)
  assert.doesNotMatch(page, /<script|https?:/)
})
