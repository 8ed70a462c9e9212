// Three times as much as can be persisted, for a while, then nothing until all is persisted.
// In:  --rate, or what is persisted under full load is found first.
// Out: what was accepted in all, and in the first third; the time until all of it was visible.
// Absent: refusing to take the burst: what the program does about it is what is measured.

import { measure, measureWindow } from '../support/measure.mjs'
import { rateUnderFullLoad } from '../support/full-load.mjs'
import { runSeconds } from './loads.mjs'

const items = 5000
const connections = 64
const times = 3

export const burst = {
  name: 'burst',
  title: 'three times what is persisted under full load, for 1.5 × --seconds; then the drain',
  isDefault: false,
  kind: 'load',
  seconds: (options) => runSeconds(options) + options.seconds * 2,
  run,
}

async function run(bench) {
  const { options } = bench
  const found = {}
  const settings = {
    load: {
      driver: 'paced',
      rate: options.rate === undefined ? undefined : 0,
      connections: options.connections ?? connections,
      bodies: { items },
    },
    deployment: { flags: options.flags },
  }
  const figures = await measure(bench, settings, async (run) => {
    found.sustained =
      options.rate === undefined
        ? await rateUnderFullLoad(run, { phase: 'sustain', seconds: options.seconds / 2 })
        : undefined
    found.offered = options.rate ?? found.sustained * times
    run.load.setRate(found.offered / items)
    run.mark('burst begins')
    return measureWindow(run, options.seconds * 1.5)
  })
  const { from, to } = figures.window
  const third = rateBetween(figures.samples, 'accepted', from, from + (to - from) / 3)
  return { ...figures, ...found, acceptedFirst: third, firstSeconds: (to - from) / 3 }
}

/** A counter's rate between two seconds of a run, from the samples closest to them. */
export function rateBetween(samples, name, from, to) {
  const known = samples.filter((sample) => sample[name] !== undefined)
  const closest = (at) =>
    known.reduce((best, each) => (Math.abs(each.at - at) < Math.abs(best.at - at) ? each : best))
  const [first, last] = [closest(from), closest(to)]
  return (last[name] - first[name]) / (last.at - first.at)
}
