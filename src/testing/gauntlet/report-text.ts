// The report as text, in Markdown.
// In:  a report.
// Out: text; after a breach with everything that is needed to see it again.
// Absent: files.

import { faultRows, totals, type Spread } from './figures.ts'
import { machineText } from './machine.ts'
import { mebibytes } from './memory.ts'
import type { Report } from './report.ts'
import type { RunResult } from './run.ts'
import { stepLine } from './schedule.ts'

const timelineLinesMax = 200

export function reportText(report: Report): string {
  const { options, machine, finishedAt, runs, trials } = report
  const { acknowledged, sent, faults, seconds } = totals(report)
  const rows = faultRows(report)
  return [
    '# Gauntlet',
    '',
    `${verdict(report)} Seed ${options.seed}; ${finishedAt.toISOString().slice(0, 16)} UTC.`,
    `${machineText(machine)}.`,
    '',
    `- ${number(acknowledged)} transactions acknowledged of ${number(sent)} sent, in ` +
      `${(seconds / 60).toFixed(1)} minutes`,
    `- ${number(faults)} faults of ${rows.length} names`,
    `- again: \`${commandLine(report)}\``,
    '',
    ...table(rows),
    '',
    ...runs.flatMap(runLines),
    ...trials.map(({ trial, log, left, breaches: found }) => {
      const outcome = found.length === 0 ? 'as it must be' : `${found.length} breaches`
      return `- trial ${trial.name} (${log}): ${left ?? outcome}`
    }),
    ...failure(report),
    '',
  ].join('\n')
}

export function verdict(report: Report): string {
  const { breaches, missed } = totals(report)
  if (breaches.length > 0) return `${breaches.length} breaches.`
  return missed.length > 0
    ? `Nothing was wrong; ${missed.length} limits missed.`
    : 'Everything held.'
}

function table(rows: ReturnType<typeof faultRows>): string[] {
  return [
    '| fault | kind | times | acknowledging: median, most | persisting: median, most |',
    '|---|---|---:|---:|---:|',
    ...rows.map(({ name, kind, count, acknowledgedMs, persistedMs }) => {
      return `| ${name} | ${kind} | ${count} | ${times(acknowledgedMs)} | ${times(persistedMs)} |`
    }),
  ]
}

export function times(spread: Spread | undefined): string {
  if (spread === undefined) return '–'
  return `${(spread.median / 1000).toFixed(2)} s, ${(spread.most / 1000).toFixed(2)} s`
}

function runLines({ log, rounds, answers, left }: RunResult): string[] {
  return [
    `On the ${log} log, requests by answer: ${JSON.stringify(answers)}.`,
    '',
    ...rounds.map(({ rows, conflicts, quarantined, lagMs, memory }, index) => {
      const sizes = memory.map(
        ({ name, bytes, usualBytes }) =>
          `${name} ${mebibytes(bytes)} (${((bytes / usualBytes) * 100).toFixed(0)} %)`,
      )
      return (
        `- round ${index + 1}: ${number(rows)} rows, ${number(conflicts)} conflicts, ` +
        `${number(quarantined)} in quarantine, all checked; lag 0 after ` +
        `${(lagMs / 1000).toFixed(1)} s; memory, of what it took in the warm-up: ` +
        sizes.join(', ')
      )
    }),
    ...left.map((each) => `- left out: ${each}`),
    '',
  ]
}

/** Seed, schedule, timeline, and what is known of everything that is wrong. */
function failure({ runs, trials }: Report): string[] {
  const lines: string[] = []
  for (const { breaches, missed, log, schedule, timeline } of runs) {
    if (breaches.length + missed.length === 0) continue
    const steps = schedule.rounds.flatMap((round) => round.steps)
    const reached = timeline.recoveries.at(-1)?.step ?? 0
    lines.push('', `## Breaches on the ${log} log, seed ${schedule.seed}`, '')
    lines.push(...breaches.map((breach) => `- ${breach}`))
    lines.push(...missed.map((limit) => `- missed: ${limit}`))
    lines.push('', '### Schedule, as far as it was reached', '', '```')
    lines.push(...steps.slice(Math.max(0, reached - timelineLinesMax), reached + 1).map(stepLine))
    lines.push('```', '', '### Timeline', '', '```')
    lines.push(...timeline.lines.slice(-timelineLinesMax), '```')
  }
  for (const { breaches, trial, timeline } of trials) {
    if (breaches.length === 0) continue
    lines.push('', `## Trial ${trial.name}`, '', ...breaches, '', '```')
    lines.push(...timeline.lines.slice(-timelineLinesMax), '```')
  }
  return lines
}

/** Runs the same schedule once more. */
export function commandLine({ options }: Report): string {
  const { seed, minutes, logs, faults, itemsPerSecond, trials } = options
  const words = ['npm run gauntlet --', `--seed ${seed} --minutes ${minutes}`]
  words.push(`--log ${logs.length === 1 ? logs.join() : 'both'} --rate ${itemsPerSecond}`)
  if (faults.length > 0) words.push(`--faults ${faults.join(',')}`)
  if (!trials) words.push('--no-trials')
  return words.join(' ')
}

export function number(value: number): string {
  return value.toLocaleString('en-US')
}
