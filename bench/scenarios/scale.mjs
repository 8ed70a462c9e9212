// How far more threads, workers or databases carry on this machine.
// In:  how long each point is measured.
// Out: figures of a measured run for each point of each curve.
// Absent: more than one machine.

import { UsageError } from '../options.mjs'
import { measure } from '../support/measure.mjs'
import { perSecond } from '../support/format.mjs'
import { loadSettings, runSeconds } from './loads.mjs'

const curves = [
  { name: 'decode threads', values: [0, 1, 2], flag: '--decode-threads' },
  { name: 'workers', values: [1, 2, 4], flag: '--workers' },
  { name: 'databases', values: [1, 2] },
]

export const scale = {
  name: 'scale',
  title: 'the steady load with 0, 1, 2 decode threads; 1, 2, 4 workers; 1, 2 databases',
  isDefault: false,
  kind: 'scale',
  seconds: (options) => 8 * runSeconds(options),
  run,
}

async function run(bench) {
  const { options, live } = bench
  if (options.urls.length > 0) {
    throw new UsageError('scale: starts programs itself; leave --url out.')
  }
  const measured = []
  for (const { name, values, flag } of curves) {
    const points = []
    for (const value of values) {
      live.title(`scale: ${value} ${name}`)
      const flags = [...options.flags, ...(flag ? [flag, String(value)] : [])]
      const deployment = { flags, databases: flag ? 1 : value }
      const settings = { ...loadSettings('steady', options), deployment }
      // A build without the flag says so, and the other curves go on.
      const figures = await measure(bench, settings).catch((error) => ({ failure: error.message }))
      if (figures.failure) live.note(figures.failure.split('\n').slice(-1)[0])
      else live.note(`persisted ${perSecond(figures.window.persistedPerSecond)}`)
      points.push({ value, ...figures })
    }
    measured.push({ name, points })
  }
  const all = measured.flatMap(({ points }) => points)
  const isGood = ({ failure, verification }) => failure !== undefined || verification.ok
  return { curves: measured, verification: { ok: all.every(isGood) } }
}
