// A reader of the Kafka log never skips a record unseen, on a real broker.

import assert from 'node:assert/strict'
import { readFile, readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, after, before, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import type { LedgerError } from '../errors.ts'
import { promised } from './kafka-addon.ts'
import type { KafkaLogOptions } from './kafka.ts'
import { KafkaTrial, readUntil, until } from '../testing/kafka-trial.ts'
import type { Log, LogReader, LogRecord, Offset } from './log.ts'

let trial: KafkaTrial

before(async () => {
  trial = await KafkaTrial.start()
})

after(() => trial.end())

interface Reading {
  topic: string
  log: Log
  reader: LogReader
  faults: Map<number, LedgerError>
}

/** A log and a reader of it, closed whatever the test does. */
async function reading(t: TestContext, changes: Partial<KafkaLogOptions> = {}): Promise<Reading> {
  const topic = changes.topic ?? trial.topic()
  const log = await trial.open({ ...changes, topic })
  const faults = new Map<number, LedgerError>()
  const reader = await log.openReader({
    onFault: (partition, error) => {
      assert(!faults.has(partition), 'a partition faults once')
      faults.set(partition, error)
    },
  })
  t.after(async () => {
    await reader.close()
    await log.close()
  })
  return { topic, log, reader, faults }
}

async function fill(log: Log, partition: number, count: number, length = 100): Promise<Offset[]> {
  const offsets: Offset[] = []
  for (let at = 0; at < count; at += 1) {
    offsets.push(await log.append(partition, Buffer.alloc(length, at)))
  }
  return offsets
}

function offsetsOf(records: readonly LogRecord[], partition: number): Offset[] {
  return records.filter((record) => record.partition === partition).map(({ offset }) => offset)
}

/**
 * Begins and ends a transaction that writes one record; its end is a control record, which no
 * reader is given.
 */
async function transaction(topic: string, end: 'commitTransaction' | 'abortTransaction') {
  interface Transactional {
    initTransactions(timeout: number, done: () => void): void
    beginTransaction(done: () => void): void
    commitTransaction(timeout: number, done: () => void): void
    abortTransaction(timeout: number, done: () => void): void
  }
  const settings = { 'bootstrap.servers': trial.kafka.brokers, 'transactional.id': topic }
  const producer = new trial.addon.Producer(settings)
  const transactional = producer as unknown as Transactional
  const timeout = 10_000
  await promised((done) => producer.connect({ topic, allTopics: false, timeout }, done))
  await promised((done) => transactional.initTransactions(timeout, done as () => void))
  await promised((done) => transactional.beginTransaction(done as () => void))
  producer.produce(topic, 0, Buffer.from(end), Buffer.from('key'), Date.now())
  await promised((done) => producer.flush(timeout, done))
  await promised((done) => transactional[end](timeout, done as () => void))
  await promised((done) => producer.disconnect(timeout, done))
}

test('offsets without records are passed, and the records around them read', async (t) => {
  const { topic, log, reader, faults } = await reading(t)
  await log.append(0, Buffer.from('first'))
  await transaction(topic, 'commitTransaction')
  await transaction(topic, 'abortTransaction')
  const last = await log.append(0, Buffer.from('last'))
  await reader.assign(new Map([[0, 0]]))
  const records = await readUntil(reader, (all) => all.at(-1)?.offset === last)
  const texts = records.map(({ bytes }) => Buffer.from(bytes).toString())
  assert.deepEqual(texts, ['first', 'commitTransaction', 'last'])
  assert(last > 3, 'the transactions left offsets without records')
  assert.deepEqual(faults, new Map())
})

test('a damaged record halts its partition alone, and is never passed over', async (t) => {
  const { topic, log, reader, faults } = await reading(t)
  await fill(log, 0, 6)
  const others = await fill(log, 1, 6)
  await trial.kafka.stop()
  const directory = join(trial.kafka.data, `${topic}-0`)
  const segments = (await readdir(directory)).filter((name) => name.endsWith('.log'))
  const segment = join(directory, segments[0] ?? '')
  const bytes = await readFile(segment)
  // Six batches of one record; this is in the middle of the fourth.
  const at = Math.floor((bytes.length / 6) * 3.5)
  bytes[at] = (bytes[at] ?? 0) ^ 1
  await writeFile(segment, bytes)
  await trial.kafka.start()
  await reader.assign(
    new Map([
      [0, 0],
      [1, 0],
    ]),
  )
  const records = await readUntil(reader, () => faults.size > 0)
  assert.deepEqual([...faults.keys()], [0])
  assert.equal(faults.get(0)?.code, 'OFFSET_GONE')
  assert.match(faults.get(0)?.message ?? '', /expected offsets? 3\b/)
  assert.deepEqual(offsetsOf(records, 0), [0, 1, 2])
  assert.deepEqual(offsetsOf(records, 1), others)
})

test('retention that overtakes a running reader is a fault, never a jump', async (t) => {
  // Almost nothing is fetched ahead, so that records can go before they are fetched.
  const properties = { 'queued.max.messages.kbytes': '1', 'max.partition.fetch.bytes': '2000' }
  const { topic, log, reader, faults } = await reading(t, { properties })
  const gone = await fill(log, 0, 60, 1000)
  const kept = await fill(log, 1, 60, 1000)
  await reader.assign(
    new Map([
      [0, 0],
      [1, 0],
    ]),
  )
  const begun = await readUntil(reader, (all) => offsetsOf(all, 0).length > 0)
  await trial.truncate(topic, 0, 55)
  const rest = await readUntil(
    reader,
    (all) => faults.size > 0 && offsetsOf([...begun, ...all], 1).length === kept.length,
  )
  const records = [...begun, ...rest]
  assert.deepEqual(offsetsOf(records, 1), kept)
  const read = offsetsOf(records, 0)
  assert.deepEqual(read, gone.slice(0, read.length))
  assert(read.length < 55)
  assert.equal(faults.get(0)?.code, 'OFFSET_GONE')
  assert.match(faults.get(0)?.message ?? '', /Partition 0: expected offset \d+, .* 55 to 60/)
})

test('a topic made anew under a running log stops its readers and its appends', async (t) => {
  const { topic, log, reader, faults } = await reading(t)
  await fill(log, 0, 3)
  await reader.assign(
    new Map([
      [0, 0],
      [1, 0],
    ]),
  )
  await readUntil(reader, (all) => all.length === 3)
  await trial.deleteTopic(topic)
  await trial.createTopic(topic, 8)
  await until(() => log.unavailable() !== undefined)
  const later = await readUntil(reader, () => faults.size === 2)
  assert.deepEqual(later, [])
  assert.deepEqual(
    [...faults.values()].map(({ code }) => code),
    ['LOG_IDENTITY_CHANGED', 'LOG_IDENTITY_CHANGED'],
  )
  await assert.rejects(log.append(0, Buffer.from('late')), { code: 'LOG_IDENTITY_CHANGED' })
  assert.match(log.unavailable() ?? '', /made anew/)
  faults.clear()
  await reader.assign(new Map([[2, 0]]))
  assert.equal(faults.get(2)?.code, 'LOG_IDENTITY_CHANGED')
})

test('a topic that was given more partitions stops the log', async (t) => {
  const { topic, log, reader, faults } = await reading(t)
  await reader.assign(new Map([[0, 0]]))
  interface Growing {
    createPartitions(topic: string, count: number, timeout: number, done: () => void): void
  }
  const admin = trial.admin as unknown as Growing
  await promised((done) => admin.createPartitions(topic, 9, 10_000, done as () => void))
  await readUntil(reader, () => faults.size > 0)
  assert.equal(faults.get(0)?.code, 'PARTITION_COUNT_CHANGED')
  assert.match(log.unavailable() ?? '', /expected 8 partitions, found 9/)
})

test('a reader that is not asked for long goes on exactly where it was', async (t) => {
  const { log, reader, faults } = await reading(t)
  const first = await fill(log, 0, 50, 1000)
  await reader.assign(
    new Map([
      [0, 0],
      [1, 0],
    ]),
  )
  const begun: LogRecord[] = []
  while (begun.length === 0) begun.push(...(await reader.read(3000)))
  // Long enough for it to let go of what it has fetched, twice over.
  await delay(9000)
  const second = await fill(log, 0, 50, 1000)
  const others = await fill(log, 1, 10, 1000)
  const rest = await readUntil(reader, (all) => begun.length + all.length >= 110)
  assert.deepEqual(offsetsOf([...begun, ...rest], 0), [...first, ...second])
  assert.deepEqual(offsetsOf(rest, 1), others)
  assert.deepEqual(await reader.read(1000), [])
  assert.deepEqual(faults, new Map())
})
