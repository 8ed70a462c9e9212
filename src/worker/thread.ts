// A worker thread's entry: connects the messages of its parent with its Applier.
// In:  ThreadOptions as workerData; ToWorker messages.
// Out: FromWorker messages; the end of the thread after `stop`.
// Absent: everything else.

import assert from 'node:assert/strict'
import { parentPort, workerData } from 'node:worker_threads'
import { createLogger } from '../observe/logger.ts'
import { armCrash } from '../testing/crash.ts'
import { Applier } from './applier.ts'
import type { FromWorker, ThreadOptions, ToWorker } from './protocol.ts'

assert(parentPort, 'thread.ts runs in a worker thread')
const port = parentPort
const options = workerData as ThreadOptions
if (options.crashAt !== undefined) armCrash(options.crashAt)

const applier = new Applier({
  ...options,
  logger: createLogger(options.logLevel, options.logFormat).child({ worker: options.worker }),
  post: (message: FromWorker) => {
    port.postMessage(message)
  },
})
port.on('message', (message: ToWorker) => {
  applier.receive(message)
})

async function run(): Promise<void> {
  await applier.run()
  port.close()
}

// What it throws ends the thread, and its parent is told.
void run()
