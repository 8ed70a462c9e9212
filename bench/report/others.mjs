// What the report shows of limits, comparisons and curves.
// In:  results.
// Out: HTML.
// Absent: single runs (runs.mjs).

import { count, milliseconds, perSecond, ratio } from '../support/format.mjs'
import { barChart } from './bar-chart.mjs'
import { runsTable } from './runs.mjs'
import { escape, short } from './text.mjs'

export function limitSection({ copy, flushing, transport, best, title }) {
  return [
    `<h2>limit</h2><p class="soft">${escape(title)}</p>`,
    `<p>The limit is <b>${perSecond(best)}</b>, the best of raw COPY into the ledger's keyed tables, ` +
      'from empty and over as many rows as a load of the same length would bring.</p>',
    barChart({
      title: 'raw COPY, rows a second',
      legend: [],
      rows: copy.map((each) => ({
        name: `${short(each.rowsPerBucket)} a bucket, ${each.connections} conn.`,
        bars: [{ kind: 'limit', value: each.rowsPerSecond, text: rowsText(each) }],
      })),
    }),
    table(
      ['append and flush', 'appends', 'transactions', 'p50', 'p99'],
      flushing.map((each) => [
        `${each.items} transactions`,
        perSecond(each.appendsPerSecond),
        perSecond(each.transactionsPerSecond),
        milliseconds(each.latency.p50),
        milliseconds(each.latency.p99),
      ]),
    ),
    table(
      ['transport alone', 'requests', 'transactions', 'p50', 'p99', 'CPU of the load generator'],
      transport.map((each) => [
        `batches of ${each.items}`,
        perSecond(each.requestsPerSecond),
        perSecond(each.transactionsPerSecond),
        milliseconds(each.latency.p50),
        milliseconds(each.latency.p99),
        `${each.loadCpu.toFixed(2)} µs`,
      ]),
    ),
  ].join('')
}

function rowsText({ rowsPerSecond, rows }) {
  return `${short(rowsPerSecond)}/s, ${short(rows)} rows`
}

export function compareSection({ title, of, sides, figures }, limit) {
  const [a, b] = sides
  const rows = figures.map(({ name, a: first, b: second, ratio: of2, least, most }) => [
    name,
    number(first),
    number(second),
    ratio(of2),
    `${ratio(least)} to ${ratio(most)}`,
  ])
  const turns = a.runs.flatMap((run, round) => [
    [`A${round + 1}`, run],
    [`B${round + 1}`, b.runs[round]],
  ])
  return [
    `<h2>compare: ${escape(of)}</h2><p class="soft">${escape(title)}</p>`,
    `<pre>A  ${escape(a.shown)}\nB  ${escape(b.shown)}</pre>`,
    table(['medians', 'A', 'B', 'B / A', 'of the rounds'], rows),
    barChart({
      title: 'persisted a second, turn by turn',
      legend: [
        ['a', 'A'],
        ['b', 'B'],
      ],
      rows: turns.map(([name, { window }]) => ({
        name,
        bars: [
          {
            kind: name[0].toLowerCase(),
            value: window.persistedPerSecond,
            text: short(window.persistedPerSecond),
          },
        ],
      })),
    }),
    runsTable(turns, limit),
  ].join('')
}

export function scaleSection({ title, curves }, limit) {
  const parts = curves.map(({ name, points }) => {
    const done = points.filter(({ failure }) => failure === undefined)
    const failed = points.filter(({ failure }) => failure !== undefined)
    return [
      barChart({
        title: `${name}: transactions a second`,
        legend: [
          ['accepted', 'accepted'],
          ['persisted', 'persisted'],
        ],
        rows: done.map(({ value, window }) => ({
          name: `${value} ${name}`,
          bars: [
            bar('accepted', window.acceptedPerSecond, mainThreadText(window)),
            bar('persisted', window.persistedPerSecond),
          ].filter((each) => each.value !== undefined),
        })),
      }),
      ...failed.map(({ value, failure }) => {
        return `<p class="soft">${value} ${escape(name)}: ${escape(failure.split('\n').at(-1))}</p>`
      }),
    ].join('')
  })
  const all = curves.flatMap(({ name, points }) => {
    const done = points.filter(({ failure }) => failure === undefined)
    return done.map((point) => [`${point.value} ${name}`, point])
  })
  const table = all.length > 0 ? runsTable(all, limit) : ''
  return `<h2>scale</h2><p class="soft">${escape(title)}</p>${parts.join('')}${table}`
}

function bar(kind, value, more = '') {
  return { kind, value, text: `${short(value)}${more}` }
}

function mainThreadText({ mainThreadShare }) {
  return mainThreadShare === undefined ? '' : `, main thread ${(mainThreadShare * 100).toFixed(0)}%`
}

function number(value) {
  return value === undefined || value === null
    ? '–'
    : value >= 1000
      ? count(value)
      : value.toPrecision(3)
}

function table(head, rows) {
  const cells = (tag, values) => values.map((value) => `<${tag}>${escape(value)}</${tag}>`).join('')
  const body = rows.map((row) => `<tr>${cells('td', row)}</tr>`).join('')
  return `<div class="scroll"><table><tr>${cells('th', head)}</tr>${body}</table></div>`
}
