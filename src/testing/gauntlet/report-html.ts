// The report as one page that needs nothing else.
// In:  a report.
// Out: HTML.
// Absent: scripts, links to anywhere.

import { faultRows, totals } from './figures.ts'
import { machineText } from './machine.ts'
import { mebibytes } from './memory.ts'
import { rateChart } from './report-chart.ts'
import { commandLine, number, times, verdict } from './report-text.ts'
import type { Report } from './report.ts'
import type { RunResult } from './run.ts'

const style = `
:root { color-scheme: light dark; --page: #fbfbfa; --card: #fff; --text: #1d2125; --soft: #5c656e;
  --line: #e3e5e8; --accepted: #2f6fd0; --persisted: #0a8f63; --fault: #c2413b; --good: #0a7d52 }
@media (prefers-color-scheme: dark) { :root { --page: #14171a; --card: #1b1f23; --text: #e4e7ea;
  --soft: #9aa4ae; --line: #2d333a; --accepted: #6ea5f5; --persisted: #43c594; --fault: #f0736d;
  --good: #43c594 } }
* { box-sizing: border-box }
body { margin: 0; background: var(--page); color: var(--text);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif }
main { max-width: 1080px; margin: 0 auto; padding: 32px 20px 64px }
h1 { font-size: 26px; margin: 0 0 4px } h2 { font-size: 19px; margin: 40px 0 2px }
.soft { color: var(--soft) } .good { color: var(--good) } .bad { color: var(--fault) }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(190px, 1fr)); gap: 12px;
  margin: 20px 0 }
.card, figure, .scroll { background: var(--card); border: 1px solid var(--line);
  border-radius: 8px }
.card { padding: 12px 16px } .card b { display: block; font-size: 22px; font-weight: 600 }
.card span { color: var(--soft); font-size: 13px }
figure { margin: 12px 0; padding: 10px 14px 6px } figcaption { font-size: 13px;
  color: var(--soft) }
svg { display: block; width: 100%; height: auto } svg text { font-size: 11px; fill: var(--soft) }
.grid { stroke: var(--line) } .accepted, .persisted { fill: none; stroke-width: 1.4 }
.accepted { stroke: var(--accepted) } .persisted { stroke: var(--persisted) }
.fault { fill: var(--fault); opacity: .18 } .scroll { overflow-x: auto; margin: 12px 0 }
table { border-collapse: collapse; width: 100%; font-size: 13px;
  font-variant-numeric: tabular-nums } th, td { padding: 6px 12px; text-align: right;
  white-space: nowrap; border-top: 1px solid var(--line) } tr:first-child th { border-top: 0 }
th { font-weight: 600; color: var(--soft) } th:first-child, td:first-child, .left {
  text-align: left } .wide { white-space: normal; min-width: 260px }
code, pre { font-size: 13px } pre { white-space: pre-wrap; background: var(--card);
  border: 1px solid var(--line); border-radius: 8px; padding: 10px 14px }
`

export function reportHtml(report: Report): string {
  const { breaches, missed } = totals(report)
  const found = [...breaches, ...missed.map((limit) => `missed: ${limit}`)]
  const body = [
    header(report),
    cards(report),
    '<h2>Faults, and times until everything went on</h2>',
    faultTable(report),
    ...report.runs.map(runSection),
    trialTable(report),
    found.length === 0 ? '' : `<h2>Breaches</h2><pre>${escape(found.join('\n\n'))}</pre>`,
  ]
  return (
    '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">' +
    '<meta name="viewport" content="width=device-width, initial-scale=1">' +
    `<title>Transaction Ledger: gauntlet</title><style>${style}</style></head>` +
    `<body><main>${body.join('\n')}</main></body></html>\n`
  )
}

function header(report: Report): string {
  const { options, machine, finishedAt } = report
  const { breaches, missed } = totals(report)
  const kind = breaches.length + missed.length === 0 ? 'good' : 'bad'
  return (
    '<h1>Transaction Ledger: gauntlet</h1>' +
    `<p><b class="${kind}">${verdict(report)}</b> Seed ${options.seed}.<br>` +
    `<span class="soft">${finishedAt.toISOString().slice(0, 16).replace('T', ' ')} UTC · ` +
    `${escape(machineText(machine))}</span><br><code>${escape(commandLine(report))}</code></p>`
  )
}

function cards(report: Report): string {
  const { acknowledged, faults, seconds } = totals(report)
  const all = report.runs.flatMap(({ timeline }) => timeline.recoveries)
  const longest = (of: (one: (typeof all)[number]) => number): string =>
    all.length === 0 ? '–' : `${(Math.max(...all.map(of)) / 1000).toFixed(1)} s`
  const shown: [string, string][] = [
    [number(acknowledged), 'transactions acknowledged, each checked'],
    [number(faults), `faults of ${faultRows(report).length} names`],
    [`${(seconds / 60).toFixed(1)} min`, 'of load and faults'],
    [longest((one) => one.acknowledgedMs), 'at most until acknowledging again; promised: 10 s'],
    [longest((one) => one.persistedMs), 'at most until persisting again; promised: 15 s'],
  ]
  const cells = shown.map(([value, what]) => {
    return `<div class="card"><b>${escape(value)}</b><span>${escape(what)}</span></div>`
  })
  return `<div class="cards">${cells.join('')}</div>`
}

function faultTable(report: Report): string {
  const rows = faultRows(report).map(({ name, kind, what, count, ...spreads }) => [
    ...[name, kind, String(count), times(spreads.acknowledgedMs), times(spreads.persistedMs)],
    what,
  ])
  const head = ['fault', 'kind', 'times', 'acknowledging: median, most', 'persisting', 'what it is']
  return table(head, rows)
}

function runSection({ log, timeline, rounds }: RunResult): string {
  const rows = rounds.map(({ rows: count, conflicts, quarantined, lagMs, memory }, index) => [
    ...[`round ${index + 1}`, number(count), number(conflicts), number(quarantined)],
    `${(lagMs / 1000).toFixed(1)} s`,
    memory
      .map(({ name, bytes, usualBytes }) => {
        return `${name} ${mebibytes(bytes)} of ${mebibytes(usualBytes)}`
      })
      .join(', '),
  ])
  const head = ['checked', 'rows', 'conflicts', 'quarantined', 'lag 0 after', 'memory']
  return `<h2>On the ${log} log</h2>${rateChart(timeline)}${table(head, rows)}`
}

function trialTable({ trials }: Report): string {
  if (trials.length === 0) return ''
  const rows = trials.map(({ trial, log, left, breaches }) => {
    const outcome = left ?? (breaches.length === 0 ? 'as it must be' : 'breached')
    return [trial.name, log, outcome, trial.what]
  })
  return `<h2>Trials</h2>${table(['trial', 'log', 'outcome', 'what it is'], rows)}`
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const titles = head.map((title) => `<th>${escape(title)}</th>`).join('')
  const body = rows.map((cells) => {
    const last = cells.length - 1
    const drawn = cells.map((cell, at) => {
      return `<td${at === last ? ' class="left wide"' : ''}>${escape(cell)}</td>`
    })
    return `<tr>${drawn.join('')}</tr>`
  })
  return `<div class="scroll"><table><tr>${titles}</tr>${body.join('')}</table></div>`
}

const special: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
}

function escape(text: string): string {
  return text.replace(/[&<>"']/g, (character) => special[character] ?? character)
}
