// Acceptance with 0, 1 and 2 decode threads: HTTP, reading, coalescing, with a log that takes
// everything.
// Run: npm run build && node bench/decode.mjs [--seconds 3] [--rounds 3] [--items 5000]
//      [--connections 16]
// The server is a process of its own, so that what it costs is told apart from the load generator.

import autocannon from 'autocannon'
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import pino from 'pino'
import { Bodies } from './load/bodies.mjs'
import { cpuOf } from './support/processes.mjs'
import { ByteBudget } from '../dist/http/budget.js'
import { startHttpServer } from '../dist/http/server.js'
import { openIngress } from '../dist/ingress/ingress.js'
import { keyFromText } from '../dist/receipt/key.js'
import { createReceipts } from '../dist/receipt/receipt.js'
import { metrics } from '../dist/observe/metrics.js'

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '3' },
    rounds: { type: 'string', default: '3' },
    items: { type: 'string', default: '5000' },
    connections: { type: 'string', default: '16' },
    serve: { type: 'string' },
  },
})

async function serve(decodeThreads) {
  let offset = 0
  const log = {
    identity: 'stand-in',
    append: () => Promise.resolve(offset++),
    unavailable: () => undefined,
  }
  const budget = new ByteBudget(128 * 2 ** 20)
  const logger = pino({ level: 'warn' })
  const ingress = openIngress({
    log,
    budget,
    logger,
    decodeThreads,
    doubt: () => undefined,
    backlog: undefined,
    lingerMs: 100,
    receipts: createReceipts(keyFromText('bench')),
    settlement: undefined,
  })
  const server = await startHttpServer({
    listen: { host: '127.0.0.1', port: 0 },
    routes: ingress.routes,
    limits: { bodyBytesMax: 2 ** 21, bodyDeadlineMs: 10_000 },
    sharesBodies: decodeThreads > 0,
    budget,
    logger,
  })
  process.send({ port: server.port })
  process.on('message', async () => {
    process.send({ accepted: (await metrics.accepted.get()).values[0].value })
  })
}

/** CPU seconds of a process' main thread. */
function mainThreadCpu(pid) {
  const text = readFileSync(`/proc/${pid}/task/${pid}/stat`, 'latin1')
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11]) + Number(fields[12])) / 100
}

async function measure(threads) {
  const child = fork(process.argv[1], ['--serve', String(threads)])
  const [{ port }] = await once(child, 'message')
  const accepted = async () => {
    child.send('accepted?')
    const [answer] = await once(child, 'message')
    return answer.accepted
  }
  const bodies = new Bodies({ items: Number(values.items) })
  const load = (duration) =>
    autocannon({
      url: `http://127.0.0.1:${port}/v1/transactions`,
      method: 'POST',
      duration,
      connections: Number(values.connections),
      headers: { 'content-type': 'application/json' },
      requests: [{ setupRequest: (request) => ({ ...request, body: bodies.next() }) }],
    })
  await load(1)
  const before = {
    accepted: await accepted(),
    main: mainThreadCpu(child.pid),
    all: cpuOf(child.pid),
  }
  const start = performance.now()
  const own = process.cpuUsage()
  const result = await load(Number(values.seconds))
  const seconds = (performance.now() - start) / 1000
  const { user, system } = process.cpuUsage(own)
  const count = (await accepted()) - before.accepted
  const main = mainThreadCpu(child.pid) - before.main
  const all = cpuOf(child.pid) - before.all
  child.kill()
  return {
    'M accepted/s': count / seconds / 1e6,
    'main thread busy': main / seconds,
    'main thread µs/tx': (main / count) * 1e6,
    'all threads µs/tx': (all / count) * 1e6,
    'load µs/tx': (user + system) / count,
    'p99 ms': result.latency.p99,
    refused: result.non2xx,
  }
}

function medians(runs) {
  const middle = (name) => runs.map((run) => run[name]).sort((a, b) => a - b)[runs.length >> 1]
  return Object.fromEntries(Object.keys(runs[0]).map((name) => [name, +middle(name).toFixed(3)]))
}

if (values.serve !== undefined) {
  await serve(Number(values.serve))
} else {
  const results = { 0: [], 1: [], 2: [] }
  for (let round = 0; round < Number(values.rounds); round += 1) {
    for (const threads of [0, 1, 2]) results[threads].push(await measure(threads))
  }
  console.table(
    Object.fromEntries(
      Object.entries(results).map(([threads, runs]) => [`${threads} threads`, medians(runs)]),
    ),
  )
  process.exit(0)
}
