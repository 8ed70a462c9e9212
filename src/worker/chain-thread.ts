// The entry of the thread that makes the chains longer, so that hashing holds up nobody.
// In:  ChainThreadOptions as workerData; for how long to go on once it has to end.
// Out: since when something may not be linked; the end of the thread after that.
// Absent: everything else.

import assert from 'node:assert/strict'
import { parentPort, workerData } from 'node:worker_threads'
import { createLogger } from '../observe/logger.ts'
import type { ChainThreadOptions } from './chain.ts'
import { Chainer } from './chainer.ts'

assert(parentPort, 'chain-thread.ts runs in a worker thread')
const port = parentPort
const { databaseUrls, intervalMs, logLevel, logFormat } = workerData as ChainThreadOptions
const logger = createLogger(logLevel, logFormat)
const linked = new Map<string, number>()
const chainers = databaseUrls.map((databaseUrl) => {
  const onLinked = (since: number): void => {
    linked.set(databaseUrl, since)
    port.postMessage(Math.min(...linked.values()))
  }
  return new Chainer({ databaseUrl, intervalMs, logger, onLinked })
})
port.on('message', (milliseconds: number) => {
  for (const chainer of chainers) chainer.finish(milliseconds)
})

async function run(): Promise<void> {
  await Promise.all(chainers.map((chainer) => chainer.run()))
  port.close()
}

// What it throws ends the thread, and its parent is told.
void run()
