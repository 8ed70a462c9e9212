// Two builds or two settings under the same load, taking turns in one run, so that what else the
// machine does falls on both alike.
// In:  --a and --b, --program-a and --program-b, --of, --rounds.
// Out: the figures of every turn, the ratio of the medians, and how far the ratios of the rounds are
//      apart.
// Absent: saying which difference matters.

import { measure } from '../support/measure.mjs'
import { median } from '../support/median.mjs'
import { perSecond, ratio } from '../support/format.mjs'
import { UsageError, masked } from '../options.mjs'
import { loadScenarios, loadSettings, runSeconds } from './loads.mjs'

export const compare = {
  name: 'compare',
  title: 'two builds or settings (--a, --b, --program-a, --program-b), taking turns',
  isDefault: false,
  kind: 'compare',
  seconds: (options) => options.rounds * 2 * runSeconds(options),
  run,
}

const compared = {
  persisted: ({ window }) => window.persistedPerSecond,
  accepted: ({ window }) => window.acceptedPerSecond,
  'CPU of the program': ({ cpu }) => cpu.program,
  'CPU of PostgreSQL': ({ cpu }) => cpu.postgres,
  'acknowledged p99': ({ latencies }) => latencies.acknowledged.p99,
  'visible p99': ({ latencies }) => latencies.visible.p99,
}

async function run(bench) {
  const { options, live } = bench
  const { of, rounds, flags } = options
  const sides = options.sides.map(({ flags: own, program }, index) => {
    const command = program ?? bench.programCommand
    const shown = [...(program ?? []), ...masked(own)].join(' ')
    return { name: 'AB'[index], command, flags: [...flags, ...own], shown, runs: [] }
  })
  checkSides(options, sides)
  for (let round = 1; round <= rounds; round++) {
    for (const side of sides) {
      live.title(`compare ${of}, round ${round} of ${rounds}, ${side.name}: ${side.shown}`)
      const settings = { ...loadSettings(of, options), deployment: { flags: side.flags } }
      const result = await measure({ ...bench, programCommand: side.command }, settings)
      side.runs.push(result)
      live.note(`${side.name}: persisted ${perSecond(result.window.persistedPerSecond)}`)
    }
  }
  const figures = Object.entries(compared).map(([name, pick]) => compareFigure(name, pick, sides))
  const [{ ratio: found, least, most }] = figures
  live.note(`B / A, persisted: ${ratio(found)} (${ratio(least)} to ${ratio(most)})`)
  return {
    of,
    sides: sides.map(({ name, shown, runs }) => ({ name, shown, runs })),
    figures,
    verification: { ok: sides.every(({ runs }) => runs.every((each) => each.verification.ok)) },
  }
}

function checkSides({ of, urls }, [a, b]) {
  if (urls.length > 0) throw new UsageError('compare: starts programs itself; leave --url out.')
  if (!loadScenarios.some(({ name }) => name === of)) {
    const names = loadScenarios.map(({ name }) => name).join(', ')
    throw new UsageError(`--of: expected one of ${names}, found ${of}.`)
  }
  if (a.shown === b.shown) {
    throw new UsageError(
      'compare: expected --a and --b, or --program-a and --program-b, to differ.',
    )
  }
}

/** Ratio of the medians, and the least and largest ratio of a round; undefined where not known. */
export function compareFigure(name, pick, [a, b]) {
  const [first, second] = [a, b].map(({ runs }) => runs.map(pick))
  if ([...first, ...second].includes(undefined)) return { name }
  const ratios = first.map((value, round) => second[round] / value)
  return {
    name,
    a: median(first),
    b: median(second),
    ratio: median(second) / median(first),
    least: Math.min(...ratios),
    most: Math.max(...ratios),
  }
}
