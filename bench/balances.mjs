// What roll-ups are worth to a balance, and what they cost: one account with very many entries among
// many others.
// Run: npm run compile && node bench/balances.mjs [--entries 10000000] [--others 2000000]
//        [--accounts 100000] [--rounds 5]

import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { Balances } from '../dist/ledger/balances.js'
import { bucketTable } from '../dist/ledger/buckets.js'
import { ensureLeaves } from '../dist/ledger/leaves.js'
import { migrate } from '../dist/ledger/migrate.js'
import { ReadDatabases } from '../dist/ledger/read-databases.js'
import { checkRollups } from '../dist/ledger/rollup-check.js'
import { connect } from '../dist/postgres/connection.js'
import { copyIn } from '../dist/postgres/copy.js'
import { partitionOf } from '../dist/record/partition.js'
import { Roller } from '../dist/worker/roller.js'
import { startServer } from './support/deployment.mjs'
import { Histogram } from './support/histogram.mjs'
import { median } from './support/median.mjs'

const { values } = parseArgs({
  options: {
    entries: { type: 'string', default: '10000000' },
    others: { type: 'string', default: '2000000' },
    accounts: { type: 'string', default: '100000' },
    rounds: { type: 'string', default: '5' },
  },
})
const [entries, others, accountCount, rounds] = [
  values.entries,
  values.others,
  values.accounts,
  values.rounds,
].map(Number)
const buckets = 16
const day = 86_400_000
const rowBytes = 66
const copyRows = 100_000
const columns = '(account_id, id, amount, created_at)'

const accounts = Array.from({ length: accountCount }, () => randomBytes(16))
const heavy = accounts[0]
const bucketOf = (account) =>
  partitionOf(new DataView(account.buffer, account.byteOffset, 16), 0) % buckets

/** A binary COPY; ids are spread over a time, created when their ids say. */
function copyOf(rows, fromMs, toMs, accountOf) {
  const copy = Buffer.alloc(19 + rows * rowBytes + 2)
  Buffer.from('5047434f50590aff0d0a000000000000000000', 'hex').copy(copy)
  const noise = randomBytes(rows * 10)
  for (let i = 0; i < rows; i++) {
    const at = 19 + i * rowBytes
    const ms = Math.floor(fromMs + ((toMs - fromMs) * i) / rows)
    copy.writeInt16BE(4, at)
    copy.writeInt32BE(16, at + 2)
    accountOf(i).copy(copy, at + 6)
    copy.writeInt32BE(16, at + 22)
    copy.writeUIntBE(ms, at + 26, 6)
    noise.copy(copy, at + 32, i * 10, i * 10 + 10)
    copy[at + 32] = 0x70 | (copy[at + 32] & 0x0f)
    copy[at + 34] = 0x80 | (copy[at + 34] & 0x3f)
    copy.writeInt32BE(8, at + 42)
    copy.writeBigInt64BE(BigInt(i) - 1000n, at + 46)
    copy.writeInt32BE(8, at + 54)
    copy.writeBigInt64BE(BigInt(ms - Date.UTC(2000, 0, 1)) * 1000n, at + 58)
  }
  copy.writeInt16BE(-1, copy.length - 2)
  return copy
}

/** Oldest first, as time would bring them. */
async function fill(connection, total, accountOf) {
  const [from, to] = [Date.now() - day, Date.now() - 600_000]
  for (let done = 0; done < total; done += copyRows) {
    const rows = Math.min(copyRows, total - done)
    const at = (share) => from + ((to - from) * share) / total
    const copy = copyOf(rows, at(done), at(done + rows), accountOf)
    await copyIn(connection, `COPY ledger.transactions ${columns} FROM STDIN (FORMAT binary)`, [
      copy,
    ])
  }
}

async function timed(count, lanes, ask) {
  const times = new Histogram()
  let left = count
  let failed = 0
  const lane = async () => {
    while (left-- > 0) {
      const started = performance.now()
      // The pool gives up a read that takes too long.
      await ask().catch(() => failed++)
      times.record(performance.now() - started)
    }
  }
  const started = performance.now()
  await Promise.all(Array.from({ length: lanes }, lane))
  const { p50, p99, most } = times.summary()
  const shown = (ms) => (ms === undefined ? '' : ms.toFixed(2))
  const perSecond = Math.round((count * 1000) / (performance.now() - started))
  return {
    'p50 ms': shown(p50),
    'p99 ms': shown(p99),
    'most ms': shown(most),
    'a second': perSecond,
    'no answer': failed,
  }
}

async function latencies(databases, heavyReads) {
  const { signal } = new AbortController()
  // One that has just been started: nothing is known of the leaves yet.
  const balances = new Balances(databases)
  const other = () => accounts[1 + Math.floor(Math.random() * (accountCount - 1))]
  const moment = () => new Date(Date.now() - Math.random() * day).toISOString()
  return {
    'the large account': await timed(heavyReads, 1, () => balances.of(heavy, { signal })),
    'the large account, as of a time': await timed(Math.min(heavyReads, 100), 1, () =>
      balances.of(heavy, { signal, at: moment() }),
    ),
    'another, one at a time': await timed(2000, 1, () => balances.of(other(), { signal })),
    'others, 32 at a time': await timed(20_000, 32, () => balances.of(other(), { signal })),
    'others, as of a time': await timed(1000, 1, () =>
      balances.of(other(), { signal, at: moment() }),
    ),
    '1000 in one request': await timed(50, 1, () =>
      balances.ofMany(Array.from({ length: 1000 }, other), { signal }),
    ),
  }
}

async function rollUp(connection) {
  const options = { logger: { debug: () => {} }, isBehind: () => false, restPerWork: 0 }
  const roller = new Roller({ ...options, signal: new AbortController().signal })
  const started = performance.now()
  let leaves = 0
  for (let done = -1; done !== 0; leaves += done) done = await roller.turn(connection)
  const seconds = (performance.now() - started) / 1000
  const size = await connection.queryOne(`
    SELECT pg_total_relation_size('ledger.rollups')::float8 AS rollups,
      (SELECT count(*)::float8 FROM ledger.rollups) AS rows,
      (SELECT sum(pg_total_relation_size(relid))::float8
       FROM pg_partition_tree('ledger.transactions')) AS entries`)
  const total = entries + others
  console.table({
    'roll-up, seconds': seconds.toFixed(1),
    'roll-up, µs an entry': ((seconds * 1e6) / total).toFixed(2),
    'leaves rolled up': leaves,
    'roll-ups': size.rows,
    'roll-ups, bytes each': (size.rollups / size.rows).toFixed(0),
    'roll-ups, bytes an entry': (size.rollups / total).toFixed(1),
    'entries, bytes each': (size.entries / total).toFixed(0),
  })
  const faults = await checkRollups(connection)
  if (faults.length > 0) throw new Error(`Roll-ups differ: ${JSON.stringify(faults.slice(0, 3))}`)
}

/** COPY into one leaf of today, by turns without its trigger, with it, and with late entries. */
async function writeCost(connection) {
  const bucket = bucketOf(heavy)
  const own = accounts.filter((one) => bucketOf(one) === bucket).sort(Buffer.compare)
  const today = new Date().toISOString().slice(0, 10).replaceAll('-', '')
  const leaf = `${bucketTable(bucket)}_${today}_rest`
  const rows = 20_000
  const ms = Date.now() + 1000
  const times = { 'no trigger': [], 'trigger, none late': [], 'trigger, all late': [] }
  for (let round = 0; round < rounds * 3; round++) {
    for (const [name, all] of Object.entries(times)) {
      const bound = name === 'trigger, all late' ? 'f' : '0'
      await connection.script(
        name === 'no trigger'
          ? `DROP TRIGGER IF EXISTS bench ON ${leaf}`
          : `CREATE OR REPLACE TRIGGER bench AFTER INSERT ON ${leaf} FOR EACH ROW
             WHEN (NEW.id < '${bound.repeat(8)}-0000-0000-0000-000000000000')
             EXECUTE FUNCTION ledger.note_late_entry()`,
      )
      const copy = copyOf(rows, ms, ms + 60_000, (i) => own[Math.floor((i * own.length) / rows)])
      const sql = `BEGIN; SET LOCAL synchronous_commit = off;
        COPY ${bucketTable(bucket)} ${columns} FROM STDIN (FORMAT binary)`
      const started = performance.now()
      await copyIn(connection, sql, [copy])
      await connection.execute('COMMIT')
      all.push(((performance.now() - started) * 1000) / rows)
    }
  }
  console.table(
    Object.entries(times).map(([name, all]) => ({
      'COPY into a leaf': name,
      'µs an entry, median': median(all).toFixed(2),
      least: Math.min(...all).toFixed(2),
    })),
  )
}

const directory = mkdtempSync(join(tmpdir(), 'ledger-bench-balances-'))
const server = await startServer(directory)
try {
  const connection = await connect(server.url, { applicationName: 'bench', answerSeconds: 3600 })
  await migrate(connection, { buckets, databases: 1, databaseIndex: 0 })
  await ensureLeaves(connection, console)
  const mixed = (i) => accounts[1 + ((i * 7919) % (accountCount - 1))]
  await fill(connection, entries, () => heavy)
  await fill(connection, others, mixed)
  await connection.script('VACUUM ANALYZE')
  console.log(`${cpus().length} × ${cpus()[0].model}, Node ${process.version}`)
  const logger = { warn: console.warn }
  const databases = new ReadDatabases({ databaseUrls: [server.url], buckets, logger })
  console.log('without roll-ups')
  console.table(await latencies(databases, 2))
  await rollUp(connection)
  console.log('with roll-ups')
  console.table(await latencies(databases, 1000))
  await writeCost(connection)
  await databases.close()
  await connection.close()
} finally {
  await server.stop()
  rmSync(directory, { recursive: true, force: true })
}
