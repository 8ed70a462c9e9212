// The whole way of a batch: HTTP load from autocannon, the log, PostgreSQL, all on this machine.
// Run: npm run build && node bench/end-to-end.mjs [--seconds 30] [--items 5000] [--connections 8]
//      [--accounts uniform|zipf|one] [--kafka] [--profile] [--no-limit] [-- flags of the program]
// With --kafka it starts Apache Kafka as the tests do (npm run setup -- --tests installs it).

import autocannon from 'autocannon'
import { mkdtempSync, rmSync } from 'node:fs'
import { cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { measureCopyLimit } from './copy.mjs'
import { Bodies } from './support/bodies.mjs'
import { cpuOf, cpuOfTree, residentBytes } from './support/processes.mjs'
import { createLogger } from '../dist/observe/logger.js'
import { startProgram } from './support/program.mjs'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    seconds: { type: 'string', default: '30' },
    items: { type: 'string', default: '5000' },
    connections: { type: 'string', default: '8' },
    accounts: { type: 'string', default: 'uniform' },
    kafka: { type: 'boolean', default: false },
    profile: { type: 'boolean', default: false },
    'no-limit': { type: 'boolean', default: false },
  },
})
const seconds = Number(values.seconds)
const items = Number(values.items)

/** Samples the program's counters once a second until told to stop. */
function sample(program) {
  const samples = []
  let peakBytes = 0
  let stopped = false
  const done = (async () => {
    while (!stopped) {
      const counters = await program.counters()
      samples.push({ at: performance.now() / 1000, ...counters })
      peakBytes = Math.max(peakBytes, residentBytes(program.pid))
      const last = samples.at(-2)
      if (last) {
        const span = samples.at(-1).at - last.at
        const rate = (name) => Math.round((counters[name] - last[name]) / span).toLocaleString('en')
        console.log(
          `  accepted ${rate('accepted')}/s, persisted ${rate('persisted')}/s,`,
          `behind ${(counters.accepted - counters.persisted).toLocaleString('en')},`,
          `RSS ${Math.round(residentBytes(program.pid) / 2 ** 20)} MiB`,
        )
      }
      await new Promise((resolve) => setTimeout(resolve, 1000))
    }
    return { samples, peakBytes }
  })()
  return {
    stop() {
      stopped = true
      return done
    },
  }
}

async function load(program) {
  const bodies = new Bodies({ items, choice: values.accounts })
  return autocannon({
    url: `${program.url}/v1/transactions`,
    method: 'POST',
    duration: seconds,
    connections: Number(values.connections),
    timeout: 30,
    headers: { 'content-type': 'application/json' },
    requests: [{ setupRequest: (request) => ({ ...request, body: bodies.next() }) }],
  })
}

/** Resolves when everything accepted is persisted. */
async function drain(program) {
  for (;;) {
    const { accepted, persisted } = await program.counters()
    if (persisted >= accepted) return
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

/** A broker and a database beside the program, and the flags that name them. */
async function startKafkaSetting(directory) {
  const { startTestKafka } = await import('../dist/testing/kafka.js')
  const { startEmbeddedPostgres } = await import('../dist/postgres/embedded.js')
  const kafka = await startTestKafka({ optimised: true })
  const logger = createLogger('warn', 'json')
  const postgres = await startEmbeddedPostgres({ directory: join(directory, 'postgres'), logger })
  return {
    flags: ['--brokers', kafka.brokers, '--database-url', postgres.url],
    brokerPid: kafka.pid,
    postgres,
    stop: () => Promise.all([kafka.destroy(), postgres.stop()]),
  }
}

const dataDir = mkdtempSync(join(tmpdir(), 'ledger-bench-'))
const setting = values.kafka ? await startKafkaSetting(dataDir) : undefined
const nodeFlags = values.profile ? ['--cpu-prof', '--cpu-prof-dir=.'] : []
const flags = ['--data-dir', dataDir, ...(setting?.flags ?? []), ...positionals]
const program = await startProgram(flags, { nodeFlags })
const databaseUrl = setting?.postgres.url ?? program.databaseUrl
const postgresPid = setting?.postgres.pid ?? program.postgresPid
const brokerPid = setting?.brokerPid
try {
  const sampler = sample(program)
  const startCpu = {
    program: cpuOf(program.pid),
    postgres: cpuOfTree(postgresPid),
    broker: brokerPid ? cpuOf(brokerPid) : 0,
    load: process.cpuUsage(),
  }
  const start = performance.now()
  const result = await load(program)
  const loaded = (performance.now() - start) / 1000
  const atEnd = await program.counters()
  await drain(program)
  const drained = (performance.now() - start) / 1000
  const { peakBytes } = await sampler.stop()
  const loadCpu = process.cpuUsage(startCpu.load)
  const count = atEnd.accepted
  const perTransaction = (cpuSeconds) => `${((cpuSeconds / count) * 1e6).toFixed(2)} µs`
  const thousands = (perSecond) => `${Math.round(perSecond / 1000)} k/s`
  const figures = {
    'accepted while loading': thousands(atEnd.accepted / loaded),
    'persisted while loading': thousands(atEnd.persisted / loaded),
    'persisted until all was': thousands(count / drained),
    'acknowledgement p50, p99': `${result.latency.p50} ms, ${result.latency.p99} ms`,
    'answers 2xx, other': `${result['2xx']}, ${result.non2xx} (${result.errors} errors)`,
    'transactions a record': (count / atEnd.records).toFixed(0),
    'transactions a flush': (atEnd.persisted / atEnd.flushes).toFixed(0),
    'CPU program': perTransaction(cpuOf(program.pid) - startCpu.program),
    'CPU PostgreSQL': perTransaction(cpuOfTree(postgresPid) - startCpu.postgres),
    ...(brokerPid && { 'CPU broker': perTransaction(cpuOf(brokerPid) - startCpu.broker) }),
    'CPU load generator': perTransaction((loadCpu.user + loadCpu.system) / 1e6),
    'peak RSS of the program': `${Math.round(peakBytes / 2 ** 20)} MiB`,
  }
  if (!values['no-limit']) {
    const limit = await measureCopyLimit(databaseUrl, {})
    figures['limit: raw COPY into the same tables'] = thousands(limit.best)
    figures['persisted while loading / limit'] = (atEnd.persisted / loaded / limit.best).toFixed(2)
  }
  console.log(`${cpus().length} × ${cpus()[0].model}, Node ${process.version}, ${items} a request`)
  console.table(figures)
} finally {
  await program.stop()
  await setting?.stop()
  rmSync(dataDir, { recursive: true, force: true })
}
