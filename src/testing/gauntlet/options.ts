// The command line of the gauntlet.
// In:  words.
// Out: what to run, or what is wrong with them.
// Absent: running it.

import { parseArgs } from 'node:util'
import { allFaults, allTrials } from './catalogue.ts'
import type { LogKind } from './fault.ts'

export interface GauntletOptions {
  seed: number
  minutes: number
  logs: readonly LogKind[]
  /** Only these; all where empty. */
  faults: readonly string[]
  itemsPerSecond: number
  /** Whether trials follow. */
  trials: boolean
  out: string
  /** Print every fault as it strikes. */
  quiet: boolean
}

export const helpText = `npm run gauntlet -- [flags]

Runs the program under load, hurts it and everything around it, and checks every acknowledged
transaction with a checker of its own.

  --seed N          one seed gives one schedule (default: chosen and printed)
  --minutes M       of load and faults, for each log (default 3)
  --log KIND        embedded, kafka, or both (default both, half of the time each)
  --faults A,B      only these faults or trials
  --rate N          transactions a second that clients send (default 8000)
  --no-trials       leave out what needs a run of its own
  --out DIR         where the report is written (default gauntlet-report)
  --quiet           say less
  --list            show all faults

`

export class UsageError extends Error {}

export function parseOptions(words: readonly string[]): GauntletOptions {
  const { values } = parse(words)
  const logs = logsOf(values.log ?? 'both')
  const faults = values.faults?.split(',') ?? []
  const known = new Set([...allFaults, ...allTrials].map(({ name }) => name))
  for (const name of faults) {
    if (known.has(name)) continue
    throw new UsageError(`--faults: expected some of ${[...known].join(', ')}; found ${name}.`)
  }
  return {
    seed: wholeNumber('seed', values.seed ?? String(Date.now() % 1_000_000), 0),
    minutes: positive('minutes', values.minutes ?? '3'),
    logs,
    faults,
    itemsPerSecond: wholeNumber('rate', values.rate ?? '8000', 1),
    trials: values['no-trials'] !== true,
    out: values.out ?? 'gauntlet-report',
    quiet: values.quiet === true,
  }
}

function parse(words: readonly string[]) {
  const text = { type: 'string' } as const
  const flag = { type: 'boolean' } as const
  const options = {
    ...{ seed: text, minutes: text, log: text, faults: text, rate: text, out: text },
    ...{ 'no-trials': flag, quiet: flag },
  }
  try {
    return parseArgs({ args: [...words], options, allowPositionals: false })
  } catch (error) {
    throw new UsageError((error as Error).message)
  }
}

function logsOf(text: string): readonly LogKind[] {
  if (text === 'both') return ['embedded', 'kafka']
  if (text === 'embedded' || text === 'kafka') return [text]
  throw new UsageError(`--log: expected embedded, kafka or both; found ${text}.`)
}

function positive(name: string, text: string): number {
  const value = Number(text)
  if (Number.isFinite(value) && value > 0) return value
  throw new UsageError(`--${name}: expected a number above 0; found ${text}.`)
}

function wholeNumber(name: string, text: string, least: number): number {
  const value = Number(text)
  if (Number.isSafeInteger(value) && value >= least) return value
  throw new UsageError(`--${name}: expected a whole number from ${least} on; found ${text}.`)
}
