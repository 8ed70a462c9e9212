// Wire bytes to sorted COPY rows: nanoseconds of one thread per transaction.
// Run: npm run compile && node bench/rows.mjs

import { randomBytes, randomFillSync } from 'node:crypto'
import { cpus } from 'node:os'
import { encodeBatch } from '../dist/record/encode.js'
import { partitionOf } from '../dist/record/partition.js'
import { RowEncoder } from '../dist/worker/rows.js'

const buckets = 16
const rounds = 15

/** Records of `size` entries for partitions 0 to 63, `count` entries in all, in one ring. */
function prepare(count, size, accountOf) {
  const byPartition = Array.from({ length: 128 }, () => [])
  const records = []
  for (let made = 0; made < count;) {
    const accountId = accountOf(made)
    const partition = partitionOf(new DataView(accountId.buffer), 0)
    const id = randomBytes(16)
    id.writeUIntBE(Date.now(), 0, 6)
    const entries = byPartition[partition]
    entries.push({ id, accountId, amount: BigInt(made) })
    made++
    if (entries.length === size) {
      records.push({ partition, bytes: encodeBatch(entries) })
      entries.length = 0
    }
  }
  const total = records.reduce((sum, { bytes }) => sum + bytes.length, 0)
  const ring = new SharedArrayBuffer(total)
  const ringBytes = new Uint8Array(ring)
  let at = 0
  for (const record of records) {
    ringBytes.set(record.bytes, at)
    record.start = at
    at += record.bytes.length
  }
  return { ring, records, entries: total / 47 }
}

const accounts = Array.from({ length: 100_000 }, () => randomFillSync(new Uint8Array(16)))
const cases = {
  'uniform accounts, records of 40': prepare(240_000, 40, (i) => accounts[(i * 7919) % 100_000]),
  'uniform accounts, records of 1000': prepare(
    240_000,
    1000,
    (i) => accounts[(i * 7919) % 100_000],
  ),
  'one account': prepare(240_000, 1000, () => accounts[0]),
  'uniform accounts, small flush': prepare(6000, 40, (i) => accounts[(i * 7919) % 100_000]),
}
for (const prepared of Object.values(cases)) {
  prepared.encoder = new RowEncoder(prepared.ring, buckets)
  prepared.times = []
}

let rows = 0
for (let round = 0; round < rounds; round++) {
  for (const { encoder, records, entries, times } of Object.values(cases)) {
    const repeats = Math.ceil(240_000 / entries)
    const start = process.hrtime.bigint()
    for (let i = 0; i < repeats; i++) {
      encoder.begin()
      for (const { partition, start: at, bytes } of records) {
        encoder.add(partition, 1.8e12, at, bytes.length)
      }
      for (const bucket of encoder.finish(() => false)) rows += bucket.rows
    }
    times.push(Number(process.hrtime.bigint() - start) / repeats / entries)
  }
}

console.log(`${cpus()[0].model}, Node ${process.version}, ${rounds} rounds, ${rows} rows written`)
console.table(
  Object.entries(cases).map(([name, { times }]) => {
    const sorted = times.slice(2).sort((a, b) => a - b)
    const median = sorted[Math.floor(sorted.length / 2)]
    return {
      case: name,
      'ns per transaction, median': median.toFixed(0),
      least: sorted[0].toFixed(0),
    }
  }),
)
