// How long a page of a statement takes, and how fast an account is exported, beside many entries.
// Run: npm run compile && node bench/statements.mjs [--rows 10000000] [--accounts 100000]
//      [--seconds 10] [--connections 8]
// In:  a ledger of `rows` entries over `accounts` accounts, and one account with `rows` more.
// Out: latencies of each kind of read; rows a second and memory of each format of export.

import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import http from 'node:http'
import { cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import pg from 'pg'
import { ensureLeaves } from '../dist/ledger/leaves.js'
import { connect } from '../dist/postgres/connection.js'
import { startServer } from './support/deployment.mjs'
import { residentBytes } from './support/processes.mjs'
import { startProgram } from './support/program.mjs'

const { values } = parseArgs({
  options: {
    rows: { type: 'string', default: '10000000' },
    accounts: { type: 'string', default: '100000' },
    seconds: { type: 'string', default: '10' },
    connections: { type: 'string', default: '8' },
  },
})
const rows = Number(values.rows)
const accounts = Number(values.accounts)
const seconds = Number(values.seconds)
const large = '00000000-0000-4000-8000-00000000000a'
const program = ['node', 'dist/main.js']
const mebibyte = 1024 * 1024

/** UUIDv7 ids over the last hour: `n` of `rows`, and 74 bits that no other has. */
const idSql = `(lpad(to_hex(floor(extract(epoch FROM now()) * 1000)::bigint - 3600000
    + n::bigint * 3600000 / ${rows}), 12, '0') || '7' || right(md5(n::text), 3) || '8'
  || right(md5((n + 1)::text), 15))::uuid`
const accountSql = `md5((hashint8(n) & 2147483647) % ${accounts} || '')::uuid`

async function fill(url) {
  execFileSync(program[0], [...program.slice(1), '--migrate', '--database-url', url])
  const connection = await connect(url, { applicationName: 'bench', answerSeconds: 3600 })
  await ensureLeaves(connection, console)
  const batch = Math.ceil(rows / 20)
  for (let first = 0; first < rows; first += batch) {
    const series = `generate_series(${first}, ${Math.min(rows, first + batch) - 1}) n`
    for (const account of [accountSql, `'${large}'::uuid`]) {
      await connection.execute(`INSERT INTO ledger.transactions
        SELECT ${account}, ${idSql}, n % 1000 - 400, now() FROM ${series} ORDER BY 1, 2`)
    }
  }
  await connection.execute('VACUUM ANALYZE ledger.transactions')
  await connection.close()
}

async function someIds(url, account) {
  const client = new pg.Client(url)
  await client.connect()
  const { rows: found } = await client.query(
    `SELECT id FROM ledger.transactions WHERE account_id = $1 ORDER BY random() LIMIT 200`,
    [account],
  )
  await client.end()
  return found.map(({ id }) => id)
}

function get(agent, url) {
  return new Promise((resolve, reject) => {
    const request = http.get(url, { agent }, (response) => {
      let bytes = 0
      response.on('data', (chunk) => (bytes += chunk.length))
      response.on('end', () => {
        if (response.statusCode === 200) resolve(bytes)
        else reject(new Error(`${url}: ${response.statusCode}`))
      })
      response.on('error', reject)
    })
    request.on('error', reject)
  })
}

/** So many clients that each ask again as soon as they are answered. */
async function latencies(clients, urlOf) {
  const agent = new http.Agent({ keepAlive: true, maxSockets: clients })
  const all = []
  const until = performance.now() + seconds * 1000
  const client = async () => {
    while (performance.now() < until) {
      const from = performance.now()
      await get(agent, urlOf())
      all.push(performance.now() - from)
    }
  }
  await Promise.all(Array.from({ length: clients }, client))
  agent.destroy()
  const sorted = all.slice(Math.floor(all.length / 10)).sort((a, b) => a - b)
  const at = (share) => sorted[Math.floor((sorted.length - 1) * share)].toFixed(2)
  return {
    'requests/s': Math.round(all.length / seconds),
    'p50 ms': at(0.5),
    'p99 ms': at(0.99),
    'max ms': at(1),
  }
}

async function exported(base, pid, format) {
  const sizes = []
  const sample = setInterval(() => sizes.push(residentBytes(pid)), 200)
  const before = residentBytes(pid)
  const from = performance.now()
  const agent = new http.Agent()
  const bytes = await get(
    agent,
    `${base}/v1/accounts/${large}/transactions/export?format=${format}`,
  )
  const took = (performance.now() - from) / 1000
  clearInterval(sample)
  const half = sizes.slice(0, Math.ceil(sizes.length / 2))
  const megabytes = (list) => Math.round(Math.max(...list) / mebibyte)
  return {
    format,
    'rows/s': Math.round(rows / took),
    'MB/s': Math.round(bytes / took / 1e6),
    s: took.toFixed(1),
    'RSS before, MiB': Math.round(before / mebibyte),
    'most, first half': megabytes(half),
    'most, second half': megabytes(sizes.slice(half.length)),
  }
}

/** As accountSql makes them. */
function someAccount() {
  const number = Math.floor(Math.random() * accounts)
  const hex = createHash('md5').update(String(number)).digest('hex')
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')
}

const directory = mkdtempSync(join(tmpdir(), 'ledger-bench-statements-'))
const server = await startServer(directory)
try {
  console.log(`${cpus().length} × ${cpus()[0].model}, Node ${process.version}`)
  await fill(server.url)
  const ids = await someIds(server.url, large)
  const running = await startProgram(program, ['--role', 'query', '--database-url', server.url])
  try {
    const base = running.url
    const any = () => `${base}/v1/accounts/${someAccount()}/transactions`
    const id = () => ids[Math.floor(Math.random() * ids.length)]
    const one = `${base}/v1/accounts/${large}/transactions`
    const clients = Number(values.connections)
    const reads = [
      ['page of 100, any account', clients, any],
      ['the same, with balances', clients, () => `${any()}?running_balance=true`],
      ['page of 100, the large account', clients, () => `${one}?limit=100`],
      ['page of 1000, the large account', clients, () => `${one}?limit=1000`],
      ['page of 100 with balances, the large account', 1, () => `${one}?running_balance=true`],
      ['one entry', clients, () => `${one}/${id()}`],
      ['all entries of an id', clients, () => `${base}/v1/transactions/${id()}`],
    ]
    const table = []
    for (const [read, count, urlOf] of reads) {
      table.push({ read, clients: count, ...(await latencies(count, urlOf)) })
    }
    console.table(table)
    const exports = []
    for (const format of ['ndjson', 'csv', 'arrow']) {
      exports.push(await exported(base, running.pid, format))
    }
    console.table(exports)
    const peak = /VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${running.pid}/status`, 'utf8'))
    console.log(`Most memory of the program: ${Math.round(Number(peak?.[1]) / 1024)} MiB`)
  } finally {
    await running.stop()
  }
} finally {
  await server.stop()
  rmSync(directory, { recursive: true, force: true })
}
