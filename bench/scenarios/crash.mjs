// kill -9 of the program under full load, and its start again on the same data.
// In:  a program of our own.
// Out: how long nobody was answered, how long until rows came again, and the verification.
// Absent: killing PostgreSQL or the broker (src/testing has suites for that).

import { UsageError } from '../options.mjs'
import { measure, measureWindow } from '../support/measure.mjs'
import { seconds as shown } from '../support/format.mjs'
import { runSeconds } from './loads.mjs'

const resumeSecondsMost = 120
const lookMs = 100

export const crash = {
  name: 'crash',
  title: 'batches of 5000; the program is killed with kill -9 in the middle and started again',
  isDefault: true,
  kind: 'load',
  seconds: (options) => runSeconds(options) + 4,
  run,
}

async function run(bench) {
  const { options } = bench
  if (options.urls.length > 0) {
    throw new UsageError('crash: kills the program it has started itself; leave --url out.')
  }
  const settings = {
    // autocannon cannot tell what was answered when connections break.
    load: { driver: 'paced', connections: options.connections ?? 8, bodies: { items: 5000 } },
    deployment: { flags: options.flags },
  }
  const outage = {}
  const figures = await measure(bench, settings, async (run) => {
    bench.live.phase('warm up', options.warmUpSeconds)
    await run.sampler.until(options.warmUpSeconds)
    const windowEnds = measureWindow(run, options.seconds)
    await run.sampler.until(run.now + options.seconds / 3)
    const killed = killAndRestart(run)
    const [window] = await Promise.all([windowEnds, killed.then((it) => Object.assign(outage, it))])
    return window
  })
  const silence = figures.latencies.acknowledged.longestSilence / 1000
  bench.live.note(
    `nobody answered for ${shown(silence)}; after the kill, rows again after ` +
      `${shown(outage.persisting)}, a new transaction visible after ${shown(outage.resumed)}`,
  )
  return { ...figures, outage: { ...outage, silence } }
}

/**
 * Seconds since the kill: until the program was ready again, until it persisted what the log held,
 * until a transaction sent after the kill was visible.
 */
async function killAndRestart(run) {
  const { deployment, probes, cpu } = run
  run.countersBroken = true
  cpu.noteEnd()
  await deployment.kill()
  const killedAt = Date.now()
  run.mark('kill -9')
  await deployment.restart()
  const restarted = (Date.now() - killedAt) / 1000
  run.mark('ready')
  const since = () => (Date.now() - killedAt) / 1000
  const before = run.sampler.samples.findLast(({ persisted }) => persisted !== undefined).persisted
  let persisting
  while (since() < resumeSecondsMost) {
    const { persisted } = await run.sampler.look()
    if (persisted > before) persisting ??= since()
    const first = probes.times.find(({ at, ms }) => at - ms > killedAt)
    if (first) return { restarted, persisting, resumed: (first.at - killedAt) / 1000 }
    await new Promise((resolve) => setTimeout(resolve, lookMs))
  }
  throw new Error(`no row was persisted within ${resumeSecondsMost} s of the kill`)
}
