// How often a file can be flushed after a write: what an acknowledgement waits for at least.
// In:  a directory.
// Out: appends a second and their latencies, by size.
// Absent: lmdb (bench/append-embedded.mjs compares).

import { closeSync, fdatasyncSync, openSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { Histogram } from './histogram.mjs'

const ms = 2000
/** One entry; a batch of 50; a batch of 5000. */
const itemCounts = [1, 50, 5000]
const entryBytes = 47

export function measureFlushing(directory) {
  return itemCounts.map((items) => {
    const file = openSync(join(directory, 'appended'), 'w')
    const bytes = new Uint8Array(items * entryBytes).fill(7)
    const times = new Histogram()
    const start = performance.now()
    while (performance.now() - start < ms) {
      const asked = performance.now()
      writeSync(file, bytes)
      fdatasyncSync(file)
      times.record(performance.now() - asked)
    }
    const seconds = (performance.now() - start) / 1000
    closeSync(file)
    const appendsPerSecond = times.count / seconds
    const latency = times.summary()
    return { items, appendsPerSecond, transactionsPerSecond: appendsPerSecond * items, latency }
  })
}
