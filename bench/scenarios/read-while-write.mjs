// The steady load, and clients that read accounts meanwhile.
// In:  the accounts of the load; --read-rate and --rate, or eight clients and all that is taken.
// Out: figures of a measured run; how long balances and pages took.
// Absent: accounts of one kind only: they are chosen at random.

import { Agent, get } from 'node:http'
import { uuidText } from '../load/random.mjs'
import { Histogram } from '../support/histogram.mjs'
import { measure, measureWindow } from '../support/measure.mjs'
import { milliseconds } from '../support/format.mjs'
import { loadSettings, runSeconds } from './loads.mjs'

const lanes = 8
const pauseMs = 20
/** Of so many reads at a rate, one is of a page, the others are of balances. */
const readsPerPage = 10
const socketsMax = 64
const patienceMs = 5000

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
  const settings = loadSettings('steady', options)
  if (options.rate !== undefined) {
    const rate = options.rate / 5000
    settings.load = { ...settings.load, driver: 'paced', rate }
  }
  const figures = await measure(bench, settings, async (run) => {
    bench.live.phase('warm up', options.warmUpSeconds)
    await run.sampler.until(options.warmUpSeconds)
    const stopped = new AbortController()
    const [url] = run.deployment.urls
    const reader = { url, pool: run.load.bodies.pool, reads, stopped: stopped.signal }
    const done = readAll(reader, options.readRate)
    try {
      return await measureWindow(run, options.seconds)
    } finally {
      stopped.abort()
      await done
    }
  })
  const { balance, page, failed } = reads
  bench.live.note(`balance p99 ${milliseconds(balance.percentile(0.99))}, ${failed} reads failed`)
  return { ...figures, reads: { balance: balance.summary(), page: page.summary(), failed } }
}

async function readAll(reader, rate) {
  const agent = new Agent({ keepAlive: true, maxSockets: socketsMax })
  try {
    if (rate !== undefined) return await readAtRate({ ...reader, agent }, rate)
    const all = Array.from({ length: lanes }, () => readInTurn({ ...reader, agent }))
    await Promise.all(all)
  } finally {
    agent.destroy()
  }
}

async function readInTurn(reader) {
  while (!reader.stopped.aborted) {
    const path = pathOfAny(reader)
    await read(reader, path, reader.reads.balance, performance.now())
    await read(reader, pageOf(path), reader.reads.page, performance.now())
    await new Promise((resolve) => setTimeout(resolve, pauseMs))
  }
}

/** A read is asked when it is due, whether earlier ones are answered or not. */
async function readAtRate(reader, rate) {
  const { reads, stopped } = reader
  const base = performance.now()
  const underWay = new Set()
  for (let sent = 0; !stopped.aborted;) {
    for (let due; (due = base + (sent * 1000) / rate) <= performance.now(); sent++) {
      const path = pathOfAny(reader)
      const isPage = sent % readsPerPage === 0
      const reading = isPage
        ? read(reader, pageOf(path), reads.page, due)
        : read(reader, path, reads.balance, due)
      underWay.add(reading)
      void reading.finally(() => underWay.delete(reading))
    }
    await new Promise((resolve) => setTimeout(resolve, 1))
  }
  // What a program that is too slow has not answered by then counts as failed.
  const patience = new Promise((resolve) => setTimeout(resolve, patienceMs).unref())
  await Promise.race([Promise.all(underWay), patience])
}

function pathOfAny({ pool }) {
  return `/v1/accounts/${uuidText(pool[Math.floor(Math.random() * pool.length)])}`
}

function pageOf(path) {
  return `${path}/transactions?limit=100`
}

/** An account that has nothing yet is an answer too. */
function read({ url, agent, reads }, path, times, since) {
  return new Promise((resolve) => {
    const fail = () => {
      reads.failed++
      resolve()
    }
    const request = get(url + path, { agent, timeout: 30_000 }, (response) => {
      response.resume()
      response.once('error', fail)
      response.once('end', () => {
        if (response.statusCode !== 200 && response.statusCode !== 404) return fail()
        times.record(performance.now() - since)
        resolve()
      })
    })
    request.once('timeout', () => request.destroy(new Error('no answer')))
    request.once('error', fail)
  })
}
