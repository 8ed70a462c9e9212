// Figures of the report: times to resume by fault, totals.
// In:  runs and trials.
// Out: rows of a table.
// Absent: text and drawing.

import { allFaults, allTrials } from './catalogue.ts'
import type { Recovery } from './timeline.ts'
import type { Report } from './report.ts'

export interface FaultRow {
  name: string
  kind: string
  what: string
  count: number
  acknowledgedMs: Spread | undefined
  persistedMs: Spread | undefined
}

export interface Spread {
  median: number
  most: number
}

/** Times of two faults that overlapped count for both. */
export function faultRows({ runs, trials }: Report): FaultRow[] {
  const recoveries = runs.flatMap(({ timeline }) => timeline.recoveries)
  const rows = allFaults.map(({ name, kind, what }) => {
    const mine = recoveries.filter(({ faults }) => faults.includes(name))
    return {
      ...{ name, kind, what, count: mine.length },
      acknowledgedMs: spread(mine, (recovery) => recovery.acknowledgedMs),
      persistedMs: spread(mine, (recovery) => recovery.persistedMs),
    }
  })
  const tried = allTrials.map(({ name, kind, what }) => ({
    ...{ name, kind, what, acknowledgedMs: undefined, persistedMs: undefined },
    count: trials.filter((one) => one.trial.name === name && one.left === undefined).length,
  }))
  return [...rows, ...tried].filter(({ count }) => count > 0)
}

function spread(
  recoveries: readonly Recovery[],
  of: (recovery: Recovery) => number,
): Spread | undefined {
  const sorted = recoveries.map(of).sort((a, b) => a - b)
  const most = sorted.at(-1)
  const median = sorted[sorted.length >> 1]
  return most === undefined || median === undefined ? undefined : { median, most }
}

export function totals({ runs, trials }: Report) {
  const sum = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0)
  const struck = runs.map(({ timeline }) =>
    sum(timeline.recoveries.map(({ faults }) => faults.length)),
  )
  return {
    acknowledged: sum(runs.map(({ acknowledgedItems }) => acknowledgedItems)),
    sent: sum(runs.map(({ sentItems }) => sentItems)),
    faults: sum(struck) + trials.filter(({ left }) => left === undefined).length,
    breaches: [...runs, ...trials].flatMap(({ breaches }) => breaches),
    missed: runs.flatMap(({ missed }) => missed),
    seconds: sum(runs.map(({ seconds }) => seconds)),
  }
}
