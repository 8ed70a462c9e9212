// What a ledger takes in when its clients send as soon as they are answered.
// In:  a run whose load sends like that.
// Out: the rate; the load is stopped, and all of it persisted, by then.
// Absent: what is done with the rate.

import { perSecond } from './format.mjs'
import { settle } from './settle.mjs'

const lookAttemptsMax = 10

/** What is persisted a second, or accepted where nothing tells what is persisted. */
export async function rateUnderFullLoad(run, { phase, seconds }) {
  const { bench, load, sampler } = run
  const { warmUpSeconds } = bench.options
  bench.live.phase(phase, warmUpSeconds + seconds)
  await sampler.until(run.now + warmUpSeconds)
  const first = await lookAnswered(sampler)
  await sampler.until(run.now + seconds)
  const last = await lookAnswered(sampler)
  const name = last.persisted === undefined ? 'accepted' : 'persisted'
  const rate = (last[name] - first[name]) / (last.at - first.at)
  bench.live.note(`${phase}: ${name} ${perSecond(rate)} under full load`)
  load.setRate(0)
  await settle(run)
  return rate
}

/** A sample with counters: a machine that is this busy may leave a scrape unanswered. */
async function lookAnswered(sampler) {
  for (let attempt = 1; ; attempt++) {
    const sample = await sampler.look()
    if (sample.accepted !== undefined || attempt === lookAttemptsMax) return sample
  }
}
