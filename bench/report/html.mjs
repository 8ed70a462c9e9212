// The report as one page that needs nothing else.
// In:  a report.
// Out: HTML.
// Absent: scripts, links to anywhere.

import { count, mebibytes, microseconds, perSecond, ratio } from '../support/format.mjs'
import { compareSection, limitSection, scaleSection } from './others.mjs'
import { overview, runSection, runsTable } from './runs.mjs'
import { style } from './style.mjs'
import { escape } from './text.mjs'

export function reportHtml(report) {
  const { results, limit } = report
  const done = results.filter(({ failure }) => !failure)
  const runs = done.filter(({ kind }) => kind === 'load').map((result) => [result.name, result])
  const body = [
    header(report),
    cards(report, runs),
    runs.length > 0 ? `<h2>All runs</h2>${runsTable(runs, limit)}${overview(runs, limit)}` : '',
    ...results.map((result) => section(result, limit)),
    footer(report),
  ]
  return (
    '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">' +
    '<meta name="viewport" content="width=device-width, initial-scale=1">' +
    `<title>Transaction Ledger: bench</title><style>${style}</style></head>` +
    `<body><main>${body.join('\n')}</main></body></html>\n`
  )
}

function section(result, limit) {
  const { kind, name, title, failure } = result
  if (failure || kind === 'load') return runSection(name, title, result, limit)
  if (kind === 'limit') return limitSection(result)
  if (kind === 'compare') return compareSection(result, limit)
  return scaleSection(result, limit)
}

function header({ startedAt, machine, results, options }) {
  const { cores, cpu, memoryBytes, kernel, node, commit } = machine
  const postgres = results.find((result) => result.postgres)?.postgres
  const parts = [
    `${cores} × ${cpu}`,
    mebibytes(memoryBytes),
    kernel,
    `Node ${node}`,
    ...(postgres ? [`PostgreSQL ${postgres}`] : []),
    ...(commit ? [`commit ${commit}`] : []),
  ]
  return (
    `<h1>Transaction Ledger: bench</h1>` +
    `<p class="soft">${escape(startedAt.slice(0, 16).replace('T', ' '))} UTC · ${escape(parts.join(' · '))}<br>` +
    `${where(options)}</p>`
  )
}

function where({ urls, databases }) {
  if (urls.length === 0) return 'Load generator, program and PostgreSQL shared this machine.'
  const disk = databases === 0 ? '; nor, without its databases, what it takes on disk' : ''
  return `This machine made the load. CPU and memory of the deployment are not known${disk}.`
}

function cards({ limit }, runs) {
  const [name, first] = runs.find(([each]) => each === 'steady') ?? runs[0] ?? []
  const shown = []
  const persisted = first?.window?.persistedPerSecond
  if (persisted) shown.push([perSecond(persisted), `persisted, ${name}`])
  if (limit && persisted)
    shown.push([ratio(persisted / limit), `of the limit of ${perSecond(limit)}`])
  if (first?.cpu.program) {
    const { program, postgres } = first.cpu
    shown.push([microseconds(program), `CPU a transaction in the program, ${name}`])
    if (postgres) shown.push([microseconds(postgres), `in PostgreSQL, ${name}`])
  }
  const verified = runs.filter(([, { verification }]) => verification.ok)
  const rows = verified.reduce((sum, [, { verification }]) => sum + verification.rows, 0)
  if (rows > 0) shown.push([count(rows), `rows verified in ${verified.length} runs`])
  const cells = shown.map(([value, what]) => {
    return `<div class="card"><b>${escape(value)}</b><span>${escape(what)}</span></div>`
  })
  return `<div class="cards">${cells.join('')}</div>`
}

function footer({ options }) {
  const { seconds, warmUpSeconds, flags, kafka, urls } = options
  const where =
    urls.length > 0 ? `deployment at ${urls.join(', ')}` : 'program started for each run'
  const how = [where, kafka ? 'Apache Kafka' : '', `window ${seconds} s after ${warmUpSeconds} s`]
  const given = flags.length > 0 ? ` Flags of the program: ${flags.join(' ')}.` : ''
  return (
    `<footer><p>${escape(`${how.filter((part) => part !== '').join(', ')}.${given}`)}</p>` +
    '<p>Accepted and persisted are read from the program in the same instants, at both ends of the ' +
    'window. CPU is counted from the start of the load until all was persisted, over all ' +
    'transactions of that time. Latencies of acknowledgement are those of the load; visible is ' +
    'measured with single transactions sent beside it and looked for in PostgreSQL. A percentile ' +
    'is left out where there are too few measurements for it. PostgreSQL’s memory counts what its ' +
    'processes share once.</p></footer>'
  )
}
