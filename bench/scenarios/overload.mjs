// Four times as much as the program can take, from many clients, of which only some heed Retry-After.
// In:  --seconds: how long it is overloaded; the peak just before is measured for a third of that.
// Out: what is persisted under overload beside the peak; how long refusals and acknowledgements
//      took, each from when the request was sent.
// Absent: a load that ends by itself (burst.mjs).

import { measure, measureWindow } from '../support/measure.mjs'
import { rateUnderFullLoad } from '../support/full-load.mjs'
import { overloadText } from '../support/overload-text.mjs'

const items = 5000
const times = 4
const peakConnections = 8
/** So many wait for each other in the program at its limit; the others are refused. */
const connections = 1024
/** Every so many clients one heeds Retry-After. */
const patientEvery = 2
const peakSecondsMost = 60

export const overload = {
  name: 'overload',
  title: 'four times what can be taken, for --seconds, beside the peak just before',
  isDefault: false,
  kind: 'load',
  seconds: (options) => options.warmUpSeconds * 2 + peakSeconds(options) + options.seconds * 1.5,
  run,
}

function peakSeconds({ seconds }) {
  return Math.min(peakSecondsMost, Math.max(10, seconds / 3))
}

async function run(bench) {
  const { options } = bench
  const found = {}
  const settings = {
    load: {
      driver: 'paced',
      rate: 0,
      connections: options.connections ?? connections,
      bodies: { items },
      dropsOverdue: true,
      countsFromSending: true,
      patientEvery,
    },
    deployment: { flags: options.flags },
  }
  const figures = await measure(bench, settings, async (run) => {
    run.load.setRate(Infinity, peakConnections)
    const peak = await rateUnderFullLoad(run, { phase: 'peak', seconds: peakSeconds(options) })
    found.offered = peak * times
    run.load.setRate(found.offered / items)
    run.mark('overload begins')
    bench.live.phase('overload', options.warmUpSeconds)
    await run.sampler.until(run.now + options.warmUpSeconds)
    const window = await measureWindow(run, options.seconds)
    const { refused, p99 } = window.latencies.acknowledged
    const goodput = window.persistedPerSecond ?? window.acceptedPerSecond
    found.overload = { peak, goodput, ofPeak: goodput / peak, refused, acknowledgedP99: p99 }
    return window
  })
  bench.live.note(overloadText(found.overload))
  return { ...figures, ...found }
}
