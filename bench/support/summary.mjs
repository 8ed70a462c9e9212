// The final table: one row a run.
// In:  a report.
// Out: text.
// Absent: plots (report/).

import { columns } from './columns.mjs'
import { count, milliseconds, perSecond, ratio } from './format.mjs'

const wide = 9

/** Rows of text with their columns aligned; the first to the left. */
function aligned(rows) {
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => row[column].length)))
  const cell = (text, column) =>
    column === 0 ? text.padEnd(widths[column]) : text.padStart(widths[column])
  return rows.map((row) => `  ${row.map(cell).join('  ')}`).join('\n')
}

/** A few columns at a time, so that lines stay short. */
function runsTable(runs, limit) {
  const blocks = []
  for (let from = 0; from < columns.length; from += wide) {
    const some = columns.slice(from, from + wide)
    const head = ['', ...some.map((column) => headOf(column))]
    const rows = runs.map(([name, run]) => [name, ...some.map(({ show }) => show(run, limit))])
    blocks.push(aligned([head, ...rows]))
  }
  return blocks.join('\n\n')
}

function headOf({ group, name }) {
  return group ? `${group} ${name}` : name
}

function limitTables({ copy, flushing, transport, best }) {
  const copyRows = copy.map((each) => [
    `COPY, ${count(each.rowsPerBucket)} rows a bucket, ${each.connections} connections`,
    perSecond(each.rowsPerSecond),
    `${count(each.rows)} rows`,
  ])
  const appendRows = flushing.map((each) => [
    `append and flush, ${each.items} transactions`,
    perSecond(each.appendsPerSecond),
    `p99 ${milliseconds(each.latency.p99)}`,
  ])
  const transportRows = transport.map((each) => [
    `transport alone, batches of ${each.items}`,
    perSecond(each.transactionsPerSecond),
    `${count(each.requestsPerSecond)} requests/s`,
  ])
  const rows = [...copyRows, ...appendRows, ...transportRows, ['limit', perSecond(best), '']]
  return aligned(rows)
}

function compareTable({ figures }) {
  const head = ['', 'A', 'B', 'B / A', 'least', 'most']
  const rows = figures.map(({ name, a, b, ...ratios }) => {
    const shown = [a, b].map((value) =>
      value >= 1000 ? count(value) : (value?.toPrecision(3) ?? '–'),
    )
    return [name, ...shown, ratio(ratios.ratio), ratio(ratios.least), ratio(ratios.most)]
  })
  return aligned([head, ...rows])
}

export function summaryText({ results, limit, machine, options }) {
  const parts = [`\n${machine.cores} × ${machine.cpu}, ${machine.kernel}, Node ${machine.node}`]
  const failures = results.filter(({ failure }) => failure)
  for (const { name, failure } of failures) parts.push(`${name} failed: ${failure}`)
  const done = results.filter(({ failure }) => !failure)
  for (const result of done.filter(({ kind }) => kind === 'limit')) parts.push(limitTables(result))
  const runs = done.filter(({ kind }) => kind === 'load').map((result) => [result.name, result])
  if (runs.length > 0) parts.push(runsTable(runs, limit))
  for (const result of done.filter(({ kind }) => kind === 'compare')) {
    const each = result.sides.flatMap(({ name, runs: turns }) =>
      turns.map((turn, round) => [`${name}${round + 1}`, turn]),
    )
    parts.push(runsTable(each, limit), compareTable(result))
  }
  for (const { curves } of done.filter(({ kind }) => kind === 'scale')) {
    const points = curves.flatMap(({ name, points: each }) =>
      each.filter(({ failure }) => !failure).map((point) => [`${point.value} ${name}`, point]),
    )
    if (points.length > 0) parts.push(runsTable(points, limit))
  }
  for (const { name, verification } of done) {
    for (const problem of verification?.problems ?? []) parts.push(`${name}: ${problem}`)
  }
  if (options.urls.length > 0) {
    parts.push(
      'CPU and memory of a deployment that was not started here are not known' +
        (options.databases === 0 ? '; nor, without --database-url, what it takes on disk.' : '.'),
    )
  }
  parts.push(
    'CPU in µs a transaction (seconds a million), over load and drain; disk in bytes a transaction;',
    'ack: from the load generator; visible: from single transactions sent beside the load.',
  )
  return `${parts.join('\n\n')}\n`
}
