// Waiting until what an earlier part of a run has left behind is persisted.
// In:  a run.
// Out: the moment from which on only the present load is seen.
// Absent: the drain at the end (measure.mjs).

const settleSecondsMost = 120
/** Lag of less than this many seconds of the present rate is the pipeline itself. */
const pipelineSeconds = 1

/** Resolves when the lag is small for the present rate, or when it is known not to be known. */
export async function settle(run) {
  const { sampler } = run
  run.bench.live.phase('settle')
  const until = run.now + settleSecondsMost
  while (run.now < until) {
    const before = sampler.samples.at(-1)
    await sampler.until(run.now + 1)
    const { lag, accepted, at } = await sampler.look()
    if (lag === undefined) return
    const rate = (accepted - before.accepted) / (at - before.at)
    if (lag <= Math.max(100, rate * pipelineSeconds)) return
  }
  throw new Error(`the lag did not settle within ${settleSecondsMost} s`)
}
