// The Kafka log on one real broker: appends of several sizes, and reading them back with a copy
// into shared memory.
// Run: node bench/append-kafka.mjs [seconds per measurement] [rounds]

import pino from 'pino'
import { openKafkaLog } from '../dist/log/kafka.js'
import { startTestKafka } from '../dist/testing/kafka.js'

const seconds = Number(process.argv[2] ?? 3)
const rounds = Number(process.argv[3] ?? 3)
const sizes = [2, 16, 32, 64].map((kib) => kib * 1024)
const partitions = 128
const all = Array.from({ length: partitions }, (_, partition) => partition)
// As many bytes under way as ingress would have: every slab full once, and records enough for small
// ones.
const underWayBytes = 8 * 1024 * 1024
const underWayRecordsMax = 1024

const topic = 'bench'
const kafka = await startTestKafka({ optimised: true })
const log = await openKafkaLog({
  brokers: kafka.brokers,
  topic,
  partitions,
  group: topic,
  properties: {},
  logger: pino({ level: 'warn' }),
})
try {
  const results = new Map(sizes.map((size) => [size, []]))
  // The first records of a partition make the broker create files, and its JVM learns meanwhile.
  for (const size of sizes) await measure(size)
  for (let round = 0; round < rounds; round += 1) {
    for (const size of sizes) results.get(size).push(await measure(size))
  }
  const rows = [...results].map(([size, runs]) => {
    const middle = (name) => median(runs.map((run) => run[name]))
    return {
      'record KiB': size / 1024,
      'append MB/s': middle('append').toFixed(0),
      'records/s': ((middle('append') * 1e6) / size).toFixed(0),
      'CPU µs/record': middle('cpu').toFixed(1),
      'ack p50 ms': middle('p50').toFixed(1),
      'ack p99 ms': middle('p99').toFixed(1),
      'alone p50 ms': middle('alone').toFixed(2),
      'read+copy MB/s': middle('read').toFixed(0),
    }
  })
  console.table(rows)
  console.log(
    `medians of ${rounds} rounds of ${seconds} s; broker, program and load on this machine`,
  )
} finally {
  await log.close()
  await kafka.destroy()
}

async function measure(size) {
  const before = await log.ranges(all)
  const alone = await appendAlone(size)
  const appended = await appendMany(size)
  const read = await readFrom(before)
  return { alone, ...appended, read }
}

/** One append at a time: the latency without any queue. */
async function appendAlone(size) {
  const bytes = Buffer.alloc(size, 7)
  const times = []
  for (let at = 0; at < 100; at += 1) {
    const started = performance.now()
    await log.append(at % partitions, bytes)
    times.push(performance.now() - started)
  }
  return median(times)
}

async function appendMany(size) {
  const lanes = Math.min(underWayRecordsMax, Math.floor(underWayBytes / size))
  const bytes = Buffer.alloc(size, 7)
  const times = []
  const cpu = process.cpuUsage()
  const started = performance.now()
  const end = started + seconds * 1000
  let next = 0
  const lane = async () => {
    while (performance.now() < end) {
      const from = performance.now()
      next += 1
      await log.append(next % partitions, bytes)
      times.push(performance.now() - from)
    }
  }
  await Promise.all(Array.from({ length: lanes }, lane))
  const took = performance.now() - started
  const { user, system } = process.cpuUsage(cpu)
  times.sort((a, b) => a - b)
  return {
    append: (times.length * size) / took / 1000,
    cpu: (user + system) / times.length,
    p50: times[times.length >> 1],
    p99: times[Math.floor(times.length * 0.99)],
  }
}

/** Reads what was appended since, and copies it as the orchestrator would. */
async function readFrom(before) {
  const now = await log.ranges(all)
  let left = 0
  for (const [partition, { next }] of now) left += next - before.get(partition).next
  const ring = new Uint8Array(new SharedArrayBuffer(32 * 1024 * 1024))
  let at = 0
  let copied = 0
  const reader = await log.openReader({
    onFault: (_, error) => {
      throw error
    },
  })
  const started = performance.now()
  await reader.assign(new Map([...before].map(([partition, { next }]) => [partition, next])))
  while (left > 0) {
    for (const { bytes } of await reader.read(2 * 1024 * 1024)) {
      if (at + bytes.length > ring.length) at = 0
      ring.set(bytes, at)
      at += bytes.length
      copied += bytes.length
      left -= 1
    }
  }
  const took = performance.now() - started
  await reader.close()
  return copied / took / 1000
}

function median(numbers) {
  return numbers.toSorted((a, b) => a - b)[numbers.length >> 1]
}
