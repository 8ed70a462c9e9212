// A gauntlet as the command line asks for it: a run for each log, then the trials, then the report.
// In:  options.
// Out: whether everything held; the report as text and files.
// Absent: argv.

import { allFaults, allTrials } from './catalogue.ts'
import type { LogKind } from './fault.ts'
import type { GauntletOptions } from './options.ts'
import { writeReport } from './report.ts'
import { runGauntlet, type RunResult } from './run.ts'
import { makeSchedule, scheduleLines } from './schedule.ts'
import { runTrial, type TrialResult } from './trial.ts'

export async function gauntlet(options: GauntletOptions): Promise<boolean> {
  const runs: RunResult[] = []
  const trials: TrialResult[] = []
  for (const log of options.logs) {
    const run = await runOne(options, log)
    if (run !== undefined) runs.push(run)
    trials.push(...(await trialsOn(options, log)))
  }
  return writeReport(options, runs, trials)
}

async function runOne(options: GauntletOptions, log: LogKind): Promise<RunResult | undefined> {
  const faults = allFaults.filter(({ name, logs }) => logs.includes(log) && isWanted(options, name))
  if (faults.length === 0) return undefined
  const { seed, itemsPerSecond } = options
  const minutes = options.minutes / options.logs.length
  const schedule = makeSchedule({ seed, minutes, log, faults })
  const steps = schedule.rounds.reduce((sum, round) => sum + round.steps.length, 0)
  console.log(`seed ${seed}, ${minutes} minutes on the ${log} log, up to ${steps} steps:`)
  if (!options.quiet) for (const line of scheduleLines(schedule).slice(0, 40)) console.log(line)
  const print = printer(options)
  return runGauntlet({ schedule, faults, itemsPerSecond, print })
}

async function trialsOn(options: GauntletOptions, log: LogKind): Promise<TrialResult[]> {
  const results: TrialResult[] = []
  for (const trial of allTrials) {
    if (!options.trials || !trial.logs.includes(log) || !isWanted(options, trial.name)) continue
    const { seed, itemsPerSecond } = options
    const print = printer(options)
    results.push(await runTrial({ trial, log, seed, itemsPerSecond, print }))
  }
  return results
}

function isWanted({ faults }: GauntletOptions, name: string): boolean {
  return faults.length === 0 || faults.includes(name)
}

function printer({ quiet }: GauntletOptions): (line: string) => void {
  return (line) => {
    if (!quiet || /BREACH|MISSED/.test(line)) console.log(line)
  }
}
