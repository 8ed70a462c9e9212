// One transaction a request, over many connections, at half the rate that saturates: how long a
// client waits that is alone with its payment.
// In:  --rate, or the rate is found first.
// Out: figures of a measured run, the rate that saturated, the rate that was kept.
// Absent: batches.

import { measure, measureWindow } from '../support/measure.mjs'
import { count } from '../support/format.mjs'
import { settle } from '../support/settle.mjs'

const connections = 128
const saturateSeconds = 8

export const single = {
  name: 'single',
  title: 'one transaction a request, 128 connections, at half the rate that saturates',
  isDefault: true,
  kind: 'load',
  seconds: ({ seconds }) => saturateSeconds + seconds + 12,
  run,
}

async function run(bench) {
  const { options } = bench
  const found = { rate: options.rate }
  const settings = {
    load: {
      driver: 'paced',
      rate: options.rate,
      connections: options.connections ?? connections,
      bodies: { items: 1 },
    },
    deployment: { flags: options.flags },
  }
  const figures = await measure(bench, settings, async (run) => {
    if (options.rate === undefined) Object.assign(found, await halfOfSaturating(run))
    await settle(run)
    return measureWindow(run, options.seconds)
  })
  return { ...figures, ...found }
}

/** The second half of a time in which every connection sends as soon as it is answered. */
async function halfOfSaturating(run) {
  run.bench.live.phase('saturate', saturateSeconds)
  await run.sampler.until(run.now + saturateSeconds / 2)
  const first = await run.sampler.look()
  await run.sampler.until(run.now + saturateSeconds / 2)
  const last = await run.sampler.look()
  const saturated = (last.acknowledged - first.acknowledged) / (last.at - first.at)
  run.load.setRate(saturated / 2)
  run.mark('half of it')
  run.bench.live.note(`saturated at ${count(saturated)} requests/s`)
  return { saturated, rate: saturated / 2 }
}
