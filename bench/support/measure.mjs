// One measured run: start, warm up, a steady window, the drain, the verification.
// In:  what to send, how fast, for how long.
// Out: the figures of the run, with all samples.
// Absent: which loads there are (scenarios/), how figures are shown.

import { prepareLoad } from '../load/client.mjs'
import { answersOf } from '../verify/checker.mjs'
import { verify } from '../verify/verify.mjs'
import { cleanup } from './cleanup.mjs'
import { CpuMeter } from './cpu.mjs'
import { deploy } from './deployment.mjs'
import { measureDisk, postgresVersion } from './disk.mjs'
import { scrape } from './metrics.mjs'
import { Probes } from './probes.mjs'
import { cpuOfMainThread } from './processes.mjs'
import { Sampler } from './sampler.mjs'

const drainLookMs = 50
const drainMs = 600_000
const patienceSeconds = 60

/** Flags that come first in a run whose settings say `isIngressOnly`. */
export const ingressOnly = ['--role', 'ingress']

/** What a run is made of while it goes on; scenarios with a course of their own get it whole. */
class Run {
  constructor(bench, settings) {
    Object.assign(this, { bench, settings, marks: [], countersBroken: false })
  }

  async begin() {
    const { bench, settings } = this
    this.deployment = await deploy({ ...bench, ...settings.deployment })
    // Nobody there is an error at the start, and a gap later on.
    await scrape(this.deployment.metricsUrls)
    // Without workers there may be no tables yet.
    const { databaseUrls } = this.deployment
    this.diskBefore = settings.isIngressOnly ? undefined : await measureDisk(databaseUrls)
    this.load = await prepareLoad({
      benchCommand: bench.benchCommand,
      directory: bench.directory,
      urls: this.deployment.urls,
      ...settings.load,
    })
    this.killLoad = cleanup(() => void this.load.kill())
    this.cpu = new CpuMeter(this.deployment, this.load.pid)
    this.probes = new Probes(this.deployment)
    this.sampler = new Sampler({
      deployment: this.deployment,
      load: this.load,
      onSample: (sample, samples) => bench.live.sample(sample, samples),
    })
    if (!settings.isIngressOnly) await this.probes.connect()
    await this.sampler.begin()
    this.load.start()
    if (!settings.isIngressOnly) this.probes.begin()
  }

  /** Seconds on the run's own clock. */
  get now() {
    return this.sampler.now
  }

  mark(label) {
    this.marks.push({ at: this.now, label })
  }

  /** Ends the load, waits until PostgreSQL has everything, and compares. */
  async finish({ probed, latencies, ...window }) {
    const { bench, deployment, load, sampler } = this
    const { isIngressOnly } = this.settings
    this.cpu.noteLoad()
    const bodies = await load.stop()
    const endedAt = this.now
    this.mark('load ends')
    bench.live.phase('drain')
    await this.probes.stop()
    const atEnd = await sampler.look()
    const ingressSeconds = this.cpu.read()
    if (isIngressOnly) await this.#persistAfterwards()
    const drained = await this.#drain()
    const cpuSeconds = isIngressOnly ? ingressSeconds : this.cpu.read()
    await sampler.stop()
    const last = sampler.samples.at(-1)
    const disk = await measureDisk(deployment.databaseUrls)
    bench.live.phase('verify')
    const verification = await this.#verify(bodies, drained !== undefined)
    const [databaseUrl] = deployment.databaseUrls
    return {
      postgres: databaseUrl && (await postgresVersion(databaseUrl)),
      window,
      drainSeconds: drained === undefined || isIngressOnly ? undefined : drained - endedAt,
      isIngressOnly,
      latencies: {
        ...latencies,
        probeAcknowledged: probed.acknowledged.summary(),
        visible: probed.visible.summary(),
      },
      answers: answersOf(bodies),
      cpu: cpuPerTransaction(cpuSeconds, isIngressOnly ? atEnd : last),
      memory: {
        program: sampler.programPeakBytes || undefined,
        postgres: sampler.postgresPeakBytes || undefined,
      },
      disk: diskPerTransaction(this.diskBefore, disk, last),
      recordTransactions: last.accepted / last.records,
      flushTransactions: last.settled / last.flushes,
      verification,
      marks: this.marks,
      samples: sampler.samples,
    }
  }

  /** A program that only took the load has nothing persisted yet: one with workers does it now. */
  async #persistAfterwards() {
    const { flags } = this.settings.deployment
    this.countersBroken = true
    await this.deployment.restartWith(flags.slice(ingressOnly.length))
  }

  /**
   * When everything accepted was settled, on the run's clock; undefined when it cannot be known.
   * Counters of a program that was killed have lost what came last, so then the log's lag decides,
   * which the program looks at once a second only.
   */
  async #drain() {
    const until = this.now + drainMs / 1000
    let settledAt
    while (this.now < until) {
      const { lag, lagRecords, settled } = await this.sampler.look()
      if (settled === undefined && !this.countersBroken) return undefined
      if (lag <= 0) settledAt ??= this.now
      const isSettled = settledAt !== undefined || this.countersBroken
      if (isSettled && lagRecords === 0) return settledAt ?? this.now
      await new Promise((resolve) => setTimeout(resolve, drainLookMs))
    }
    throw new Error(`not everything was persisted ${drainMs / 1000} s after the load had ended`)
  }

  /** Where nobody could say when everything was persisted, some time is given to it. */
  async #verify(bodies, isDrained) {
    const until = this.now + (isDrained ? 0 : patienceSeconds)
    for (;;) {
      const started = performance.now()
      const verdict = await verify(this.deployment, [bodies], this.probes.sent)
      verdict.tookSeconds = (performance.now() - started) / 1000
      if (verdict.ok || this.now >= until) return verdict
      await new Promise((resolve) => setTimeout(resolve, 1000))
    }
  }

  async end() {
    await this.killLoad?.()
    await this.probes?.close()
    await this.sampler?.stop().catch(() => undefined)
    await this.deployment?.stop()
  }
}

/**
 * Runs a course: the given one, or the usual one with a warm-up and a window.
 *
 * @param {object} settings `load` for prepareLoad, `deployment` for deploy, `warmUpSeconds`,
 *   `seconds`
 * @param {(run: Run) => Promise<object | undefined>} course resolves with the window's figures
 */
export async function measure(bench, settings, course = steadyCourse) {
  const run = new Run(bench, settings)
  try {
    await run.begin()
    const window = await course(run)
    return await run.finish(window)
  } finally {
    await run.end()
  }
}

async function steadyCourse(run) {
  const { warmUpSeconds, seconds } = run.settings
  run.bench.live.phase('warm up', warmUpSeconds)
  await run.sampler.until(warmUpSeconds)
  return measureWindow(run, seconds)
}

/** Rates, lag and latencies of the next seconds. Accepted and persisted are of the same instants. */
export async function measureWindow(run, seconds) {
  const { sampler, load, probes, bench } = run
  bench.live.phase('measure', seconds)
  run.mark('window begins')
  load.beginWindow()
  probes.beginWindow()
  const first = await sampler.look()
  const mainThread = watchMainThread(run.deployment)
  await sampler.until(first.at + seconds)
  const last = await sampler.look()
  const mainThreadShare = mainThread()
  const acknowledged = await load.endWindow()
  const probed = probes.endWindow()
  run.mark('window ends')
  const span = last.at - first.at
  const rate = (name) => (last[name] === undefined ? undefined : (last[name] - first[name]) / span)
  return {
    from: first.at,
    to: last.at,
    seconds: span,
    acceptedPerSecond: rate('accepted') ?? rate('acknowledged'),
    persistedPerSecond: rate('persisted'),
    settledPerSecond: rate('settled'),
    lagAtStart: first.lag,
    lagAtEnd: last.lag,
    mainThreadShare,
    latencies: { acknowledged },
    probed,
  }
}

/** The share of one core that the program's main thread takes from now until it is asked. */
function watchMainThread({ pids: { program } }) {
  const before = { at: performance.now(), cpu: cpuOfMainThread(program) }
  return () => {
    const used = cpuOfMainThread(program) - before.cpu
    return used > 0 ? (used * 1000) / (performance.now() - before.at) : undefined
  }
}

/** Microseconds a transaction, which is seconds a million, from the first to the last persisted. */
function cpuPerTransaction(cpuSeconds, { accepted, settled = accepted }) {
  const entries = Object.entries(cpuSeconds)
  return Object.fromEntries(entries.map(([name, used]) => [name, (used * 1e6) / settled]))
}

function diskPerTransaction(before, after, { persisted, accepted, recordBytes }) {
  const log = recordBytes === undefined ? undefined : recordBytes / accepted
  if (before === undefined || persisted === undefined) return { log }
  const each = (name) => (after[name] - before[name]) / persisted
  return { tables: each('tables'), indexes: each('indexes'), wal: each('wal'), log }
}
