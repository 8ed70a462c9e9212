// How far more threads, workers or databases carry on this machine.
// In:  how long each point is measured.
// Out: figures of a measured run for each point of each curve.
// Absent: more than one machine.

import { UsageError } from '../options.mjs'
import { ingressOnly, measure } from '../support/measure.mjs'
import { perSecond } from '../support/format.mjs'
import { loadSettings, runSeconds } from './loads.mjs'

const decoding = { values: [0, 1, 2], flag: '--decode-threads' }

/**
 * What decoding threads are worth shows where workers do not hold ingress back: on Kafka ingress
 * runs alone; the embedded log serves one process only, so there it gets one worker and a backlog
 * without end.
 */
const curves = [
  { name: 'decode threads, ingress first', ...decoding, isUnheld: true },
  { name: 'decode threads', ...decoding },
  { name: 'workers', values: [1, 2, 4], flag: '--workers' },
  { name: 'databases', values: [1, 2] },
]
const unheldFlags = ['--workers', '1', '--max-backlog', '16GiB']
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
      const figures = await measure(bench, settingsOf(curve, value, options)).catch(({ message }) =>
        failureOf(message, curve),
      )
      const { failure, window } = figures
      live.note(failure ?? `accepted ${perSecond(window.acceptedPerSecond)}`)
      points.push({ value, ...figures })
    }
    measured.push({ name: curve.name, points })
  }
  const all = measured.flatMap(({ points }) => points)
  const isGood = ({ isAbsent, verification }) => isAbsent === true || verification?.ok === true
  return { curves: measured, verification: { ok: all.every(isGood) } }
}

/** A build without the flag is no failure: the other curves say what they say. */
function failureOf(message, { flag }) {
  const isAbsent = flag !== undefined && message.includes(`Unknown argument "${flag}"`)
  return { failure: isAbsent ? `this build has no ${flag}` : message, isAbsent }
}

function settingsOf({ flag, isUnheld }, value, options) {
  const isIngressOnly = isUnheld === true && options.kafka
  const flags = [
    ...(isIngressOnly ? ingressOnly : []),
    ...(isUnheld && !options.kafka ? unheldFlags : []),
    ...(flag ? [flag, String(value)] : []),
    ...options.flags,
  ]
  return {
    ...loadSettings('steady', options),
    isIngressOnly,
    deployment: { flags, databases: flag ? 1 : value },
  }
}
