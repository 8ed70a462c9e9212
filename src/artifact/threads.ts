// Starts a thread of this program, from its file or from the executable.
// In:  the entry's path below src/, without its ending; those in the executable are listed in
//      scripts/binary/bundle.mjs.
// Out: a worker thread.
// Absent: what threads do.

import { fileURLToPath } from 'node:url'
import { Worker, type WorkerOptions } from 'node:worker_threads'
import { inExecutable, threadSource } from './executable.ts'

/** @param name such as `worker/thread` */
export function startThread(name: string, options: WorkerOptions): Worker {
  if (inExecutable) return new Worker(threadSource(name), { ...options, eval: true })
  return new Worker(new URL(`../${name}.js`, import.meta.url), options)
}

/**
 * What a pool of threads (piscina) is told to run: a file, or in the executable the name by which
 * its pool thread finds the module.
 *
 * @param name such as `ingress/decode-thread`
 */
export function taskModule(name: string): string {
  return inExecutable ? name : fileURLToPath(new URL(`../${name}.js`, import.meta.url))
}
