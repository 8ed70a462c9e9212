// The report of a gauntlet: text for the terminal, text and one HTML page for files.
// In:  what the runs and trials found.
// Out: files, and whether everything held.
// Absent: drawing (report-html.ts).

import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describeMachine, type Machine } from './machine.ts'
import type { GauntletOptions } from './options.ts'
import { reportHtml } from './report-html.ts'
import { reportText } from './report-text.ts'
import type { RunResult } from './run.ts'
import type { TrialResult } from './trial.ts'

export interface Report {
  options: GauntletOptions
  runs: readonly RunResult[]
  trials: readonly TrialResult[]
  machine: Machine
  finishedAt: Date
}

export async function writeReport(
  options: GauntletOptions,
  runs: readonly RunResult[],
  trials: readonly TrialResult[],
): Promise<boolean> {
  const machine = await describeMachine()
  const report: Report = { options, runs, trials, machine, finishedAt: new Date() }
  const text = reportText(report)
  console.log(text)
  mkdirSync(options.out, { recursive: true })
  writeFileSync(join(options.out, 'gauntlet.md'), text)
  writeFileSync(join(options.out, 'gauntlet.html'), reportHtml(report))
  for (const { log, timeline } of runs) {
    writeFileSync(join(options.out, `timeline-${log}.txt`), `${timeline.lines.join('\n')}\n`)
  }
  console.log(`The report is in ${options.out}.`)
  const isRight = [...runs, ...trials].every(({ breaches }) => breaches.length === 0)
  return isRight && runs.every(({ missed }) => missed.length === 0)
}
