// What the report shows of measured runs: all of them beside each other, and each over its time.
// In:  results of measure().
// Out: HTML.
// Absent: limits, comparisons (others.mjs).

import { columns } from '../support/columns.mjs'
import { count, milliseconds, perSecond, ratio, seconds } from '../support/format.mjs'
import { overloadText } from '../support/overload-text.mjs'
import { barChart, latencyChart } from './bar-chart.mjs'
import { lineChart } from './line-chart.mjs'
import { escape, short } from './text.mjs'

const rateSpanSeconds = 0.9
const mebibyte = 2 ** 20
const processes = [
  ['program', 'program'],
  ['postgres', 'PostgreSQL'],
  ['broker', 'broker'],
  ['load', 'load generator'],
]

/** @param {[string, object][]} runs name and result */
export function runsTable(runs, limit) {
  const head = columns.map(({ group, name }) => {
    return `<th>${escape(group ? `${group} ${name}` : name)}</th>`
  })
  const rows = runs.map(([name, run]) => {
    const cells = columns.map(({ show }) => `<td>${escape(show(run, limit))}</td>`)
    return `<tr><td>${escape(name)}</td>${cells.join('')}</tr>`
  })
  return `<div class="scroll"><table><tr><th></th>${head.join('')}</tr>${rows.join('')}</table></div>`
}

export function overview(runs, limit) {
  const rated = runs.filter(([, { window }]) => window !== undefined)
  // One transaction a request at half load is no rate to be compared with batches.
  const batches = rated.filter(([, { saturated }]) => saturated === undefined)
  return [
    barChart({
      title: 'transactions a second, in the steady window',
      legend: [
        ['accepted', 'accepted'],
        ['persisted', 'persisted'],
        ...(limit ? [['limit', 'limit']] : []),
      ],
      level: limit && { label: `limit ${perSecond(limit)}`, value: limit },
      rows: batches.map(([name, { window }]) => ({ name, bars: rateBars(window, limit) })),
    }),
    barChart({
      title: 'CPU by process, µs a transaction (seconds a million)',
      legend: processes.filter(([kind]) => runs.some(([, { cpu }]) => cpu?.[kind] !== undefined)),
      rows: runs
        .filter(([, run]) => run.cpu && !run.saturated)
        .map(([name, { cpu }]) => cpuRow(name, cpu)),
    }),
    latencyChart({
      title: 'latency: p50 · p99 · p99.9',
      legend: [
        ['accepted', 'acknowledged'],
        ['persisted', 'visible in PostgreSQL'],
      ],
      rows: rated.map(([name, { latencies }]) => ({
        name,
        ranges: [
          { kind: 'accepted', points: latencyPoints(latencies.acknowledged) },
          { kind: 'persisted', points: latencyPoints(latencies.visible) },
        ],
      })),
    }),
  ].join('')
}

function rateBars({ acceptedPerSecond, persistedPerSecond }, limit) {
  const of = limit && persistedPerSecond ? `  (${ratio(persistedPerSecond / limit)})` : ''
  return [
    { kind: 'accepted', value: acceptedPerSecond, text: short(acceptedPerSecond) },
    { kind: 'persisted', value: persistedPerSecond, text: `${short(persistedPerSecond)}${of}` },
  ].filter(({ value }) => value !== undefined)
}

function cpuRow(name, cpu) {
  const parts = processes
    .filter(([kind]) => cpu[kind] !== undefined)
    .map(([kind, shown]) => ({ kind, name: shown, value: cpu[kind] }))
  const text = parts.map(({ value }) => value.toFixed(2)).join(' + ')
  return { name, bars: [{ parts, text }] }
}

function latencyPoints({ p50, p99, p999 }) {
  const points = [
    { name: 'p50', ms: p50 },
    { name: 'p99', ms: p99 },
    { name: 'p99.9', ms: p999 },
  ]
  return points.filter(({ ms }) => ms !== undefined)
}

/** A run over its time. */
export function runSection(name, title, run, limit) {
  if (run.failure) return `<h2>${escape(name)}</h2><pre class="bad">${escape(run.failure)}</pre>`
  const { window, marks, samples } = run
  const events = marks.filter(({ label }) => !label.startsWith('window'))
  const shared = { window, marks: events, until: samples.at(-1).at }
  const rates = [
    { name: 'accepted', kind: 'accepted', points: ratePoints(samples, 'accepted') },
    { name: 'persisted', kind: 'persisted', points: ratePoints(samples, 'persisted') },
  ]
  const value = (of) => samples.map((sample) => ({ at: sample.at, value: of(sample) }))
  const memory = [
    { name: 'program', kind: 'program', points: value((it) => mib(it.programBytes)) },
    {
      name: 'PostgreSQL',
      kind: 'postgres',
      points: value((it) => mib(it.postgresBytes)).filter((point) => point.value !== undefined),
    },
  ].filter(({ points }) => points.some((point) => point.value !== undefined))
  const isBatch = run.saturated === undefined
  return [
    `<h2>${escape(name)}</h2><p class="soft">${escape(title)}</p>`,
    `<p>${verdict(run.verification)} ${escape(sentences(run))}</p>`,
    lineChart({
      title: 'transactions a second (the measured window is shaded)',
      series: rates,
      level: isBatch && limit ? { label: `limit ${short(limit)}`, value: limit } : undefined,
      ...shared,
    }),
    lineChart({
      title: 'lag, transactions accepted and not yet persisted',
      series: [{ name: 'lag', kind: 'lag', points: value(({ lag }) => lag && Math.max(0, lag)) }],
      height: 120,
      ...shared,
      marks: [],
    }),
    lineChart({ title: 'resident memory, MiB', series: memory, height: 120, ...shared, marks: [] }),
  ].join('')
}

function mib(bytes) {
  return bytes > 0 ? bytes / mebibyte : undefined
}

/**
 * The rate since the sample about a second before; a gap where the program did not answer, and the
 * rate up to it.
 */
export function ratePoints(samples, name) {
  const points = []
  let before
  let latest
  const point = (leastSpan) => {
    const span = latest.at - before.at
    if (span < leastSpan) return false
    points.push({ at: (latest.at + before.at) / 2, value: (latest[name] - before[name]) / span })
    return true
  }
  for (const sample of samples) {
    if (sample[name] === undefined) {
      if (before === undefined) continue
      point(rateSpanSeconds / 3)
      points.push({ at: sample.at, value: undefined })
      before = undefined
      continue
    }
    latest = sample
    if (before === undefined || point(rateSpanSeconds)) before = sample
  }
  return points
}

function verdict(verification) {
  const { ok, rows, expected, accounts, through, problems, accountsAsked, conflicts } = verification
  const also = accountsAsked ? `; ${count(accountsAsked)} accounts asked through the read API` : ''
  const refused = conflicts > 0 ? `, ${count(conflicts)} conflicts` : ''
  if (ok) {
    const what = `${count(rows)} rows${refused} of ${count(accounts)} accounts`
    return `<span class="good">Verified through ${through}: ${what}, exactly what was acknowledged${also}.</span>`
  }
  const found = `${count(rows)} rows, ${count(expected)} acknowledged`
  return `<span class="bad">Not what was acknowledged: ${found}.</span><br>${problems.map(escape).join('<br>')}<br>`
}

function sentences({
  outage,
  overload,
  reads,
  saturated,
  rate,
  offered,
  acceptedFirst,
  firstSeconds,
  answers,
}) {
  const said = []
  if (saturated) said.push(`Saturated at ${perSecond(saturated)}; measured at ${perSecond(rate)}.`)
  if (overload) said.push(`Offered ${perSecond(offered)}: ${overloadText(overload)}.`)
  else if (offered) {
    said.push(
      `Offered ${perSecond(offered)}; accepted in the first ${seconds(firstSeconds)} of it: `,
    )
    said.push(`${perSecond(acceptedFirst)}.`)
  }
  if (outage) {
    said.push(
      `Nobody was answered for ${seconds(outage.silence)}; after the kill the program was ready`,
    )
    said.push(
      `in ${seconds(outage.restarted)}, rows came in ${seconds(outage.persisting)}, and a new`,
    )
    said.push(`transaction was visible in ${seconds(outage.resumed)}.`)
  }
  if (reads) {
    const { balance, page, failed } = reads
    said.push(`Reads: balance p50 ${milliseconds(balance.p50)}, p99 ${milliseconds(balance.p99)};`)
    said.push(
      `page of 100 p50 ${milliseconds(page.p50)}, p99 ${milliseconds(page.p99)}; ${failed} failed.`,
    )
  }
  said.push(
    `${count(answers.acknowledged)} requests acknowledged, ${count(answers.unanswered)} without an`,
  )
  said.push(`answer or with a 5xx, ${count(answers.refused)} refused.`)
  return said.join(' ')
}
