// How many requests the load generator and the program's HTTP server carry over loopback when
// nobody reads what is in them.
// In:  nothing.
// Out: requests and transactions a second, by batch size.
// Absent: parsing, the log, PostgreSQL.

import { ByteBudget } from '../../dist/http/budget.js'
import { startHttpServer } from '../../dist/http/server.js'
import { createLogger } from '../../dist/observe/logger.js'
import { prepareLoad } from '../load/client.mjs'
import { cleanup } from './cleanup.mjs'
import { cpuOf } from './processes.mjs'

const warmUpMs = 1000
const ms = 3000
const loads = [
  { items: 1, connections: 128 },
  { items: 50, connections: 128 },
  { items: 5000, connections: 8 },
]
const mebibyte = 2 ** 20

export async function measureTransport({ benchCommand, directory }) {
  const answer = { status: 202, contentType: 'application/json', body: '{"accepted":0}' }
  const server = await startHttpServer({
    listen: { host: '127.0.0.1', port: 0 },
    routes: [
      {
        method: 'POST',
        path: '/v1/transactions',
        accepts: ['application/json'],
        handle: () => answer,
      },
    ],
    limits: { bodyBytesMax: 2 * mebibyte, bodyDeadlineMs: 10_000 },
    budget: new ByteBudget(128 * mebibyte),
    logger: createLogger('warn', 'json'),
  })
  try {
    const figures = []
    const urls = [`http://${server.address}`]
    for (const { items, connections } of loads) {
      const load = await prepareLoad({
        benchCommand,
        directory,
        urls,
        connections,
        bodies: { items },
      })
      const killLoad = cleanup(() => void load.kill())
      figures.push({ items, connections, ...(await measureLoad(load, items)) })
      await killLoad()
    }
    return figures
  } finally {
    server.stopListening()
    await server.close(AbortSignal.timeout(1000))
  }
}

async function measureLoad(load, items) {
  load.start()
  while (load.counts.acknowledgedItems === 0) await pause(50)
  await pause(warmUpMs)
  const look = () => ({
    at: performance.now(),
    done: load.counts.acknowledgedItems,
    cpu: cpuOf(load.pid),
  })
  load.beginWindow()
  const first = look()
  await pause(ms)
  const last = look()
  const latency = await load.endWindow()
  await load.stop()
  const transactions = last.done - first.done
  const transactionsPerSecond = (transactions * 1000) / (last.at - first.at)
  return {
    transactionsPerSecond,
    requestsPerSecond: transactionsPerSecond / items,
    loadCpu: ((last.cpu - first.cpu) * 1e6) / transactions,
    latency: { p50: latency.p50, p99: latency.p99, p999: latency.p999, most: latency.most },
  }
}

function pause(time) {
  return new Promise((resolve) => setTimeout(resolve, time))
}
