// How far more threads, workers or databases carry on this machine.
// In:  how long each point is measured.
// Out: figures of a measured run for each point of each curve.
// Absent: more than one machine.

import { UsageError } from '../options.mjs'
import { ingressOnly, measure } from '../support/measure.mjs'
import { perSecond } from '../support/format.mjs'
import { loadSettings, runSeconds } from './loads.mjs'

/** Ingress alone shows what decoding threads are worth; with workers beside it, cores are short. */
const curves = [
  {
    name: 'decode threads, ingress alone',
    values: [0, 1, 2],
    flag: '--decode-threads',
    alone: true,
  },
  { name: 'decode threads', values: [0, 1, 2], flag: '--decode-threads' },
  { name: 'workers', values: [1, 2, 4], flag: '--workers' },
  { name: 'databases', values: [1, 2] },
]
const pointCount = curves.reduce((sum, { values }) => sum + values.length, 0)

export const scale = {
  name: 'scale',
  title: 'the steady load with 0, 1, 2 decode threads; 1, 2, 4 workers; 1, 2 databases',
  isDefault: false,
  kind: 'scale',
  seconds: (options) => pointCount * runSeconds(options),
  run,
}

async function run(bench) {
  const { options, live } = bench
  if (options.urls.length > 0) {
    throw new UsageError('scale: starts programs itself; leave --url out.')
  }
  const measured = []
  for (const curve of curves) {
    const points = []
    for (const value of curve.values) {
      live.title(`scale: ${value} ${curve.name}`)
      // A build without the flag says so, and the other curves go on.
      const figures = await measure(bench, settingsOf(curve, value, options)).catch((error) => {
        return { failure: error.message }
      })
      const { failure, window } = figures
      live.note(failure ?? `accepted ${perSecond(window.acceptedPerSecond)}`)
      points.push({ value, ...figures })
    }
    measured.push({ name: curve.name, points })
  }
  const all = measured.flatMap(({ points }) => points)
  const isGood = ({ failure, verification }) => failure !== undefined || verification.ok
  return { curves: measured, verification: { ok: all.every(isGood) } }
}

function settingsOf({ flag, alone }, value, options) {
  const flags = [
    ...(alone ? ingressOnly : []),
    ...(flag ? [flag, String(value)] : []),
    ...options.flags,
  ]
  return {
    ...loadSettings('steady', options),
    isIngressOnly: alone,
    deployment: { flags, databases: flag ? 1 : value },
  }
}
