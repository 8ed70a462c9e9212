// Appends to Kafka use bounded memory, on a real broker.

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { LedgerError } from '../errors.ts'
import { inflightBytesMax, slabBytes } from '../limits.ts'
import { KafkaTrial } from '../testing/kafka-trial.ts'
import type { Log } from './log.ts'

const mebibyte = 1024 * 1024
const partitions = 16

let trial: KafkaTrial

before(async () => {
  trial = await KafkaTrial.start()
})

after(() => trial.end())

async function append(log: Log, count: number, bytes: Uint8Array): Promise<void> {
  const atOnce = 1000
  for (let done = 0; done < count; done += atOnce) {
    const appends = Array.from({ length: atOnce }, (_, at) => log.append(at % partitions, bytes))
    await Promise.all(appends)
  }
}

/** Memory in use once everything that can be collected is. */
async function settledMemory(): Promise<NodeJS.MemoryUsage> {
  setFlagsFromString('--expose_gc')
  const collect = runInNewContext('gc') as () => void
  for (let times = 0; times < 3; times += 1) {
    collect()
    await setImmediate()
  }
  return process.memoryUsage()
}

test('memory does not grow with the number of appends', async (t) => {
  const log = await trial.open({ partitions, properties: {} })
  t.after(() => log.close())
  const bytes = Buffer.alloc(400)
  await append(log, 80_000, bytes)
  const before = await settledMemory()
  await append(log, 120_000, bytes)
  const later = await settledMemory()
  assert(later.heapUsed - before.heapUsed < 4 * mebibyte)
  assert(later.rss - before.rss < 24 * mebibyte)
})

test('appends past the limit are refused while brokers hang, and no other is lost', async (t) => {
  const log = await trial.open({ partitions, properties: {} })
  t.after(() => log.close())
  const bytes = new Uint8Array(slabBytes)
  await log.append(0, bytes)
  trial.kafka.freeze()
  const appends: Promise<unknown>[] = []
  const limit = inflightBytesMax / slabBytes
  for (let at = 0; at < limit + 10; at += 1) {
    appends.push(log.append(at % partitions, bytes).catch((error: unknown) => error))
  }
  trial.kafka.thaw()
  const outcomes = await Promise.all(appends)
  const refused = outcomes.filter((outcome) => outcome instanceof LedgerError)
  assert(refused.length > 0 && refused.length <= 30, `${refused.length} refused`)
  assert(refused.every(({ code }) => code === 'LOG_FULL'))
  const all = Array.from({ length: partitions }, (_, partition) => partition)
  const ranges = await log.ranges(all)
  const held = all.reduce((sum, partition) => sum + (ranges.get(partition)?.next ?? 0), 0)
  assert.equal(held, 1 + limit + 10 - refused.length)
  assert.equal(typeof (await log.append(0, bytes)), 'number')
})

test('an append while the log is closed resolves or is refused as stopping', async () => {
  const log = await trial.open({ partitions })
  const first = log.append(0, Buffer.from('first'))
  const closing = log.close()
  await assert.rejects(log.append(0, Buffer.from('second')), { code: 'STOPPING' })
  assert.equal(await first, 0)
  await closing
})
