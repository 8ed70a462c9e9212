// Appends to the embedded log, beside the ways of using lmdb that were not taken, and beside the
// disk itself.
//
//   npx tsc -p . && node bench/append-embedded.mjs [--seconds 1] [--rounds 3] [--directory /tmp]
//
// Every acknowledgement is durable, and the log is trimmed all the while, as it is behind a worker.
// `log` is openEmbeddedLog; `partition first` puts the partition before the place in lmdb's key;
// `overlapping` waits for lmdb's `flushed` with overlappingSync; `fdatasync` is a bare file that is
// flushed after each record.

import { closeSync, fdatasyncSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { open } from 'lmdb'
import { openEmbeddedLog } from '../dist/log/embedded.js'

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '1' },
    rounds: { type: 'string', default: '3' },
    directory: { type: 'string', default: tmpdir() },
  },
})
const seconds = Number(values.seconds)
const rounds = Number(values.rounds)
const partitions = 128

const variants = { log: ownLog, 'partition first': lmdb(false), overlapping: lmdb(true) }

/**
 * Acknowledgement times in ms, CPU seconds and elapsed seconds of one run, once the file has grown.
 */
async function load(target, length, inFlight) {
  const bytes = new Uint8Array(length).fill(7)
  const appendFor = async (milliseconds) => {
    const times = []
    const until = performance.now() + milliseconds
    const client = async (number) => {
      for (let turn = number; performance.now() < until; turn += inFlight) {
        const asked = performance.now()
        await target.append(turn % partitions, bytes)
        times.push(performance.now() - asked)
      }
    }
    await Promise.all(Array.from({ length: inFlight }, (_, number) => client(number)))
    return times.sort((a, b) => a - b)
  }
  await appendFor(500)
  const cpu = process.cpuUsage()
  const start = performance.now()
  const times = await appendFor(seconds * 1000)
  const elapsed = (performance.now() - start) / 1000
  const { user, system } = process.cpuUsage(cpu)
  await target.close()
  return { times, cpu: (user + system) / 1e6, elapsed }
}

async function ownLog(directory) {
  const log = await openEmbeddedLog({ directory, diskBytesMax: 1 << 30 })
  return {
    async append(partition, bytes) {
      const offset = await log.append(partition, bytes)
      if (offset % 8 === 7) void log.release(new Map([[partition, offset - 7]]))
    },
    close: () => log.close(),
  }
}

/** The same gathering of appends over lmdb as it comes, keyed by partition and offset. */
function lmdb(overlappingSync) {
  return async (directory) => {
    const options = { keyEncoding: 'binary', encoding: 'binary', eventTurnBatching: false }
    const path = join(directory, 'raw.mdb')
    const database = open({ path, mapSize: 2 ** 31, overlappingSync, ...options })
    const next = new Array(partitions).fill(0)
    let waiting = []
    let running = false
    async function run() {
      await new Promise((resolve) => setImmediate(resolve))
      while (waiting.length > 0) {
        const batch = waiting
        waiting = []
        const committed = database.batch(() => {
          for (const { partition, bytes } of batch) {
            const offset = next[partition]++
            const value = Buffer.allocUnsafe(bytes.length + 8)
            value.set(bytes, 8)
            database.put(key(partition, offset), value)
            if (offset >= 12) database.remove(key(partition, offset - 12))
          }
        })
        await (overlappingSync ? database.flushed : committed)
        for (const { resolve } of batch) resolve()
      }
      running = false
    }
    return {
      append: (partition, bytes) =>
        new Promise((resolve) => {
          waiting.push({ partition, bytes, resolve })
          if (!running) void run()
          running = true
        }),
      close: () => database.close(),
    }
  }
}

function key(partition, offset) {
  const bytes = Buffer.allocUnsafe(8)
  bytes.writeUInt16BE(partition, 0)
  bytes.writeUIntBE(offset, 2, 6)
  return bytes
}

function fdatasync(length) {
  const directory = mkdtempSync(join(values.directory, 'append-'))
  const file = openSync(join(directory, 'file'), 'w')
  const bytes = new Uint8Array(length)
  const times = []
  const cpu = process.cpuUsage()
  const start = performance.now()
  while (performance.now() - start < seconds * 1000) {
    const asked = performance.now()
    writeSync(file, bytes)
    fdatasyncSync(file)
    times.push(performance.now() - asked)
  }
  const elapsed = (performance.now() - start) / 1000
  const { user, system } = process.cpuUsage(cpu)
  closeSync(file)
  rmSync(directory, { recursive: true })
  return { times: times.sort((a, b) => a - b), cpu: (user + system) / 1e6, elapsed }
}

async function inDirectory(openTarget, length, inFlight) {
  const directory = mkdtempSync(join(values.directory, 'append-'))
  try {
    return await load(await openTarget(directory), length, inFlight)
  } finally {
    rmSync(directory, { recursive: true })
  }
}

function median(runs, of) {
  return runs.map(of).sort((a, b) => a - b)[runs.length >> 1]
}

function row(name, length, inFlight, runs) {
  const records = median(runs, ({ times, elapsed }) => times.length / elapsed)
  return {
    'record bytes': length,
    'in flight': inFlight,
    variant: name,
    'records/s': Math.round(records),
    'MB/s': Number(((records * length) / 1e6).toFixed(1)),
    'p50 ms': Number(median(runs, ({ times }) => times[times.length >> 1]).toFixed(2)),
    'p99 ms': Number(median(runs, ({ times }) => times[(times.length * 0.99) | 0]).toFixed(2)),
    'CPU µs/record': Number(median(runs, (run) => (run.cpu * 1e6) / run.times.length).toFixed(1)),
  }
}

const table = []
for (const [length, inFlight] of [
  [2_000, 1],
  [2_000, 128],
  [16_000, 128],
  [64_000, 128],
]) {
  const runs = Object.fromEntries(Object.keys(variants).map((name) => [name, []]))
  const bare = []
  for (let round = 0; round < rounds; round += 1) {
    for (const [name, openTarget] of Object.entries(variants)) {
      runs[name].push(await inDirectory(openTarget, length, inFlight))
    }
    bare.push(fdatasync(length))
  }
  for (const [name, measured] of Object.entries(runs)) {
    table.push(row(name, length, inFlight, measured))
  }
  table.push(row('fdatasync', length, 1, bare))
}
console.table(table)
