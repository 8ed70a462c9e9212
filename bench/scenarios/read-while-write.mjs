// The steady load, and clients that read accounts meanwhile.
// In:  the accounts of the load.
// Out: figures of a measured run; how long balances and pages took.
// Absent: reading faster than a few people would.

import { uuidText } from '../load/random.mjs'
import { Histogram } from '../support/histogram.mjs'
import { measure, measureWindow } from '../support/measure.mjs'
import { milliseconds } from '../support/format.mjs'
import { loadSettings, runSeconds } from './loads.mjs'

const lanes = 8
const pauseMs = 20

export const readWhileWrite = {
  name: 'read-while-write',
  title: 'batches of 5000, and eight clients that read balances and pages meanwhile',
  isDefault: false,
  kind: 'load',
  seconds: runSeconds,
  run,
}

async function run(bench) {
  const { options } = bench
  const reads = { balance: new Histogram(), page: new Histogram(), failed: 0 }
  const figures = await measure(bench, loadSettings('steady', options), async (run) => {
    bench.live.phase('warm up', options.warmUpSeconds)
    await run.sampler.until(options.warmUpSeconds)
    const reading = { stopped: false }
    const [url] = run.deployment.urls
    const pool = run.load.bodies.pool
    const done = Array.from({ length: lanes }, () => readAccounts(url, pool, reads, reading))
    try {
      return await measureWindow(run, options.seconds)
    } finally {
      reading.stopped = true
      await Promise.all(done)
    }
  })
  const { balance, page, failed } = reads
  bench.live.note(`balance p99 ${milliseconds(balance.percentile(0.99))}, ${failed} reads failed`)
  return { ...figures, reads: { balance: balance.summary(), page: page.summary(), failed } }
}

async function readAccounts(url, pool, reads, reading) {
  while (!reading.stopped) {
    const account = uuidText(pool[Math.floor(Math.random() * pool.length)])
    await read(`${url}/v1/accounts/${account}`, reads.balance, reads)
    await read(`${url}/v1/accounts/${account}/transactions?limit=100`, reads.page, reads)
    await new Promise((resolve) => setTimeout(resolve, pauseMs))
  }
}

/** An account that has nothing yet is an answer too. */
async function read(path, times, reads) {
  const asked = performance.now()
  try {
    const response = await fetch(path, { signal: AbortSignal.timeout(30_000) })
    await response.arrayBuffer()
    if (response.status === 200 || response.status === 404) times.record(performance.now() - asked)
    else reads.failed++
  } catch {
    reads.failed++
  }
}
