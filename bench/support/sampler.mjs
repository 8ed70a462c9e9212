// Looks at a deployment twice a second: counters, lag, memory.
// In:  a deployment, a load.
// Out: samples, each also told to whoever watches.
// Absent: rates over a window (measure.mjs), plots.

import { scrape } from './metrics.mjs'
import { peakResidentBytes, proportionalBytesOfTree, residentBytes } from './processes.mjs'

const sampleMs = 500
/** What shared memory belongs to whom takes the kernel a while to add up. */
const postgresEvery = 4

/** Counters that go on where a program that was started again begins at 0. */
export class Counters {
  /** How often one was found to begin again. */
  restarts = 0
  #last = {}
  #base = {}

  /** The same values, never falling. */
  follow(counters) {
    const followed = {}
    for (const [name, value] of Object.entries(counters)) {
      if (value < (this.#last[name] ?? 0)) {
        this.#base[name] = (this.#base[name] ?? 0) + this.#last[name]
        this.restarts++
      }
      this.#last[name] = value
      followed[name] = value + (this.#base[name] ?? 0)
    }
    return followed
  }
}

export class Sampler {
  samples = []
  programPeakBytes = 0
  postgresPeakBytes = 0
  #deployment
  #load
  #onSample
  #counters = new Counters()
  #start = performance.now()
  #origin
  #hasWorkers = false
  #stopped = false
  #done
  #turn = 0

  constructor({ deployment, load, onSample }) {
    this.#deployment = deployment
    this.#load = load
    this.#onSample = onSample
  }

  /** Everything is counted from here on. */
  async begin() {
    this.#start = performance.now()
    await this.look()
    this.#done = this.#run()
  }

  async stop() {
    this.#stopped = true
    await this.#done
  }

  /** Seconds since it began. */
  get now() {
    return (performance.now() - this.#start) / 1000
  }

  /** Resolves at that second of the run; rejects when the load generator has failed meanwhile. */
  async until(seconds) {
    while (this.now < seconds) {
      const left = (seconds - this.now) * 1000
      await new Promise((resolve) => setTimeout(resolve, Math.min(left, 200)))
      void this.#load.counts
    }
  }

  async #run() {
    while (!this.#stopped) {
      const next = performance.now() + sampleMs
      await this.look()
      await new Promise((resolve) => setTimeout(resolve, next - performance.now()))
    }
  }

  /** One sample. Its counters are undefined while the program does not answer. */
  async look() {
    const counters = await this.#read()
    const at = this.now
    const { acknowledgedItems, refusals, errors } = this.#load.counts
    const sample = { at, acknowledged: acknowledgedItems, refusals, errors, ...counters }
    this.#weigh(sample)
    this.samples.push(sample)
    this.#onSample?.(sample, this.samples)
    return sample
  }

  async #read() {
    const raw = await scrape(this.#deployment.metricsUrls).catch(() => undefined)
    if (raw === undefined) return {}
    const { lagRecords, ...counters } = raw
    const followed = this.#counters.follow(counters)
    this.#origin ??= followed
    const since = Object.fromEntries(
      Object.entries(followed).map(([name, value]) => [name, value - this.#origin[name]]),
    )
    this.#hasWorkers ||= lagRecords !== undefined
    if (!this.#hasWorkers) return pickIngress(since)
    // A program that was killed takes the last counts with it, of each counter as it happens.
    // Rows of a request may be persisted before the whole of it is acknowledged.
    const behind = Math.max(0, since.accepted - since.settled)
    const lag = this.#counters.restarts > 0 ? undefined : behind
    return { ...since, lagRecords, lag }
  }

  #weigh(sample) {
    const { program, postgres } = this.#deployment.pids
    if (program !== undefined) {
      sample.programBytes = residentBytes(program)
      this.programPeakBytes = Math.max(this.programPeakBytes, peakResidentBytes(program))
    }
    if (postgres.length > 0 && this.#turn++ % postgresEvery === 0) {
      sample.postgresBytes = postgres.reduce((sum, pid) => sum + proportionalBytesOfTree(pid), 0)
      this.postgresPeakBytes = Math.max(this.postgresPeakBytes, sample.postgresBytes)
    }
  }
}

/** What is known where none of the processes that are asked has workers. */
function pickIngress({ accepted, records, recordBytes }) {
  return { accepted, records, recordBytes }
}
