// Coalescing: CPU a transaction, and what records come of it under load.
// Run: npm run compile && node bench/append.mjs
// The log is a stand-in, so that only the appender is measured: it confirms at once, or after 5 ms.

import { cpus } from 'node:os'
import { setTimeout as delay } from 'node:timers/promises'
import { ByteBudget } from '../dist/http/budget.js'
import { Appender } from '../dist/ingress/append.js'
import { RequestBatch } from '../dist/batch/batch.js'

const rounds = 50
const clients = 16
const loadMs = 1000

function batchOf(count) {
  const batch = new RequestBatch()
  batch.count = count
  for (let i = 0; i < count; i++) batch.partitions[i] = Math.floor(Math.random() * 128)
  return batch
}

/** A log that confirms every append after `ms`, and counts. */
function standIn(ms) {
  const log = { records: 0, bytes: 0, append }
  function append(_, { length }) {
    log.records++
    log.bytes += length
    return ms === 0 ? Promise.resolve(log.records) : delay(ms, log.records)
  }
  return log
}

function median(values) {
  return values.sort((a, b) => a - b)[values.length >> 1]
}

/** CPU rather than time: an idle appender may wait on purpose. */
async function cost(count) {
  const budget = new ByteBudget(2 ** 30)
  const appender = new Appender({ log: standIn(0), lingerMs: 0, budget })
  const batch = batchOf(count)
  const repeats = Math.ceil(5000 / count)
  const times = []
  for (let round = 0; round < rounds; round++) {
    const before = process.cpuUsage()
    for (let i = 0; i < 20; i++) {
      await Promise.all(Array.from({ length: repeats }, () => appender.add(batch)))
    }
    const { user, system } = process.cpuUsage(before)
    times.push(((user + system) * 1000) / 20 / repeats / count)
  }
  await appender.stop()
  return { 'items a request': count, 'CPU ns a transaction, median': median(times).toFixed(1) }
}

async function load(count, lingerMs) {
  const log = standIn(5)
  const appender = new Appender({ log, lingerMs, budget: new ByteBudget(2 ** 30) })
  const batch = batchOf(count)
  const latencies = []
  const end = performance.now() + loadMs
  const client = async () => {
    while (performance.now() < end) {
      const start = performance.now()
      await appender.add(batch)
      latencies.push(performance.now() - start)
    }
  }
  await Promise.all(Array.from({ length: clients }, client))
  await appender.stop()
  return {
    'items a request': count,
    'linger ms': lingerMs,
    'requests/s': Math.round((latencies.length * 1000) / loadMs),
    'records/s': Math.round((log.records * 1000) / loadMs),
    'bytes a record': Math.round(log.bytes / log.records),
    'ms to acknowledge, median': median(latencies).toFixed(1),
  }
}

console.log(`${cpus()[0].model}, Node ${process.version}`)
const costs = []
for (const count of [5000, 100, 1]) costs.push(await cost(count))
console.table(costs)
const loads = []
for (const count of [5000, 100, 1]) {
  for (const lingerMs of [5, 50]) loads.push(await load(count, lingerMs))
}
console.table(loads)
