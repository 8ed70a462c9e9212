// How many rows a second PostgreSQL takes into the ledger's real tables by COPY alone: the limit of
// every other figure.
// In:  [--database-url URL] (a server of its own otherwise), [--rounds N].
// Out: a table with medians over the rounds; the configurations take turns in each round.
// Absent: HTTP, the log, encoding: the buffers are ready before the clock runs.

import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { parseArgs } from 'node:util'
import { bucketTable } from '../dist/ledger/buckets.js'
import { ensureLeaves } from '../dist/ledger/leaves.js'
import { migrate } from '../dist/ledger/migrate.js'
import { createLogger } from '../dist/observe/logger.js'
import { connect } from '../dist/postgres/connection.js'
import { copyIn } from '../dist/postgres/copy.js'
import { startEmbeddedPostgres } from '../dist/postgres/embedded.js'
import { partitionOf } from '../dist/record/partition.js'

const rowBytes = 66
const headerBytes = 19
const header = Buffer.from('5047434f50590aff0d0a000000000000000000', 'hex')
const day = 86_400_000

/** Accounts by bucket, as binary strings. */
function accountsByBucket(count, buckets) {
  const lists = Array.from({ length: buckets }, () => [])
  const bytes = Buffer.alloc(16)
  const view = new DataView(bytes.buffer, bytes.byteOffset, 16)
  for (let i = 0; i < count; i++) {
    randomBytes(16).copy(bytes)
    lists[partitionOf(view, 0) % buckets].push(bytes.toString('latin1'))
  }
  return lists
}

/** One bucket's COPY. Its ids differ only behind their timestamp, so `renew` keeps the order. */
function prepareCopy(accounts, rows, sorted) {
  const random = randomBytes(rows * 10).toString('latin1')
  const keys = Array.from({ length: rows }, (_, index) => {
    const account = accounts[Math.floor(Math.random() * accounts.length)]
    return account + '\0\0\0\0\0\0' + random.slice(index * 10, index * 10 + 10)
  })
  if (sorted) keys.sort()
  const copy = Buffer.alloc(headerBytes + rows * rowBytes + 2)
  header.copy(copy)
  keys.forEach((key, index) => {
    const at = headerBytes + index * rowBytes
    copy.writeInt16BE(4, at)
    copy.writeInt32BE(16, at + 2)
    copy.write(key.slice(0, 16), at + 6, 'latin1')
    copy.writeInt32BE(16, at + 22)
    copy.write(key.slice(16), at + 26, 'latin1')
    copy.writeInt32BE(8, at + 42)
    copy.writeBigInt64BE(BigInt(index), at + 46)
    copy.writeInt32BE(8, at + 54)
    copy.writeBigInt64BE(BigInt(Date.now() - Date.UTC(2000, 0, 1)) * 1000n, at + 58)
  })
  copy.writeInt16BE(-1, copy.length - 2)
  return copy
}

/** Gives every row an id of a millisecond nobody used before, so that no flush repeats a key. */
function renew(copy, millisecond) {
  for (let at = headerBytes + 26; at + 6 < copy.length; at += rowBytes) {
    copy.writeUIntBE(millisecond, at, 6)
  }
}

/** One transaction as a worker's flush would make it: its buckets, one COPY each. */
async function flush(connection, copies) {
  await connection.script('BEGIN; SET LOCAL synchronous_commit = off')
  for (const { bucket, copy } of copies) {
    const columns = 'account_id, id, amount, created_at'
    await copyIn(
      connection,
      `SAVEPOINT bucket; COPY ${bucketTable(bucket)} (${columns}) FROM STDIN (FORMAT binary)`,
      [copy],
    )
  }
  await connection.execute('COMMIT')
}

/** Rows a second of one configuration, from empty tables. */
async function measure(bench, { connections, rowsPerBucket, sorted }) {
  const { open, buckets, accounts, rows } = bench
  await open[0].execute('TRUNCATE ledger.transactions')
  const copies = accounts.map((list, bucket) => {
    const key = `${bucket} ${rowsPerBucket} ${sorted}`
    const copy = bench.prepared.get(key) ?? prepareCopy(list, rowsPerBucket, sorted)
    bench.prepared.set(key, copy)
    return { bucket, copy }
  })
  const shares = open.slice(0, connections).map((connection, index) => {
    const own = copies.filter(
      ({ bucket }) => Math.floor((bucket * connections) / buckets) === index,
    )
    return { connection, own }
  })
  const flushes = Math.max(1, Math.round(rows / (rowsPerBucket * buckets)))
  let milliseconds = 0
  for (let i = 0; i < flushes; i++) {
    bench.millisecond += 1
    for (const { copy } of copies) renew(copy, bench.millisecond)
    const start = performance.now()
    await Promise.all(shares.map(({ connection, own }) => flush(connection, own)))
    milliseconds += performance.now() - start
  }
  return (flushes * rowsPerBucket * buckets * 1000) / milliseconds
}

function median(values) {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.floor(sorted.length / 2)]
}

/**
 * Measures in a database of its own on the server of `url`, which it drops again.
 *
 * @returns {Promise<{ best: number, figures: { connections: number, rowsPerBucket: number, sorted:
 *   boolean,
 *   rowsPerSecond: number }[] }>} medians over the rounds, and the largest of them
 */
export async function measureCopyLimit(
  url,
  {
    connections = [1, 2],
    rowsPerBucket = [5_000, 20_000, 100_000],
    order = ['sorted'],
    rounds = 1,
    buckets = 16,
    accounts = 100_000,
    rows = 1_600_000,
  } = {},
) {
  const name = `copy_limit_${process.pid}`
  const admin = await connect(url, { applicationName: 'bench' })
  await admin.execute(`CREATE DATABASE ${name}`)
  const target = new URL(url)
  target.pathname = `/${name}`
  const open = await Promise.all(
    Array.from({ length: Math.max(...connections) }, () =>
      connect(target.href, { applicationName: 'bench' }),
    ),
  )
  try {
    await migrate(open[0], { buckets, databases: 1, databaseIndex: 0 })
    await ensureLeaves(open[0], createLogger('warn', 'json'))
    const millisecond = Math.floor(Date.now() / day) * day
    const bench = {
      open,
      buckets,
      accounts: accountsByBucket(accounts, buckets),
      prepared: new Map(),
      rows,
      millisecond,
    }
    const figures = order.flatMap((way) =>
      connections.flatMap((count) =>
        rowsPerBucket.map((size) => {
          const sorted = way === 'sorted'
          return { connections: count, rowsPerBucket: size, sorted, rowsPerSecond: 0, all: [] }
        }),
      ),
    )
    for (let round = 0; round < rounds; round++) {
      for (const figure of figures) figure.all.push(await measure(bench, figure))
    }
    for (const figure of figures) figure.rowsPerSecond = median(figure.all)
    return { best: Math.max(...figures.map((figure) => figure.rowsPerSecond)), figures }
  } finally {
    for (const connection of open) await connection.close()
    await admin.execute(`DROP DATABASE ${name} WITH (FORCE)`)
    await admin.close()
  }
}

async function main() {
  const { values } = parseArgs({
    options: {
      'database-url': { type: 'string' },
      rounds: { type: 'string', default: '3' },
      rows: { type: 'string', default: '1600000' },
    },
  })
  const directory = mkdtempSync(join(tmpdir(), 'ledger-bench-copy-'))
  const own =
    values['database-url'] === undefined
      ? await startEmbeddedPostgres({ directory, logger: createLogger('warn', 'json') })
      : undefined
  try {
    const { figures } = await measureCopyLimit(values['database-url'] ?? own.url, {
      order: ['sorted', 'unsorted'],
      rounds: Number(values.rounds),
      rows: Number(values.rows),
    })
    console.log(`${cpus().length} × ${cpus()[0].model}, Node ${process.version}`)
    console.table(
      figures.map(({ connections, rowsPerBucket, sorted, rowsPerSecond, all }) => ({
        connections,
        'rows a bucket': rowsPerBucket,
        order: sorted ? 'by key' : 'none',
        'rows/s, median': Math.round(rowsPerSecond),
        lowest: Math.round(Math.min(...all)),
        highest: Math.round(Math.max(...all)),
        'µs a row': (1e6 / rowsPerSecond).toFixed(2),
      })),
    )
  } finally {
    await own?.stop()
    rmSync(directory, { recursive: true, force: true })
  }
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) await main()
