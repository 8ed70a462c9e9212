// What the Kafka log says while brokers stop, die, hang and come back is true.

import assert from 'node:assert/strict'
import { type TestContext, after, before, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { LedgerError } from '../errors.ts'
import type { KafkaLogOptions } from './kafka.ts'
import { KafkaTrial, readUntil, until } from '../testing/kafka-trial.ts'
import type { Log, LogRecord, Offset } from './log.ts'

let trial: KafkaTrial

before(async () => {
  trial = await KafkaTrial.start()
})

after(() => trial.end())

/** A log that is closed whatever the test does. */
async function opened(t: TestContext, changes: Partial<KafkaLogOptions> = {}): Promise<Log> {
  const log = await trial.open(changes)
  t.after(() => log.close())
  return log
}

/** An append, and what became of it. */
interface Attempt {
  partition: number
  bytes: Uint8Array
  offset?: Offset
  error?: unknown
}

const partitions = 8
let serial = 0

function attempt(log: Log, attempts: Attempt[]): Promise<void> {
  serial += 1
  const bytes = Buffer.from(`record ${serial} `.padEnd(500, 'x'))
  const made: Attempt = { partition: serial % partitions, bytes }
  attempts.push(made)
  return log.append(made.partition, bytes).then(
    (offset) => void (made.offset = offset),
    (error: unknown) => void (made.error = error),
  )
}

/** Appends until `stop` is settled, never more than some hundred at a time. */
async function appendUntil(log: Log, attempts: Attempt[], stop: Promise<unknown>): Promise<void> {
  let stopped = false
  void stop.then(() => (stopped = true))
  const underWay = new Set<Promise<void>>()
  while (!stopped) {
    const append = attempt(log, attempts).finally(() => underWay.delete(append))
    underWay.add(append)
    await delay(2)
    if (underWay.size > 300) await Promise.race(underWay)
  }
  await Promise.all(underWay)
}

/** Everything in the log, by its text, with the places where it is. */
async function contents(log: Log): Promise<Map<string, LogRecord[]>> {
  const all = Array.from({ length: partitions }, (_, partition) => partition)
  const ranges = await log.ranges(all)
  const reader = await log.openReader({ onFault: (_, error) => assert.fail(error) })
  await reader.assign(new Map(all.map((partition) => [partition, 0])))
  const total = [...ranges.values()].reduce((sum, range) => sum + range.next, 0)
  const records = await readUntil(reader, (soFar) => soFar.length >= total)
  await reader.close()
  const byText = new Map<string, LogRecord[]>()
  for (const record of records) {
    const text = Buffer.from(record.bytes).toString()
    byText.set(text, [...(byText.get(text) ?? []), record])
  }
  return byText
}

/**
 * Compares what was answered with what the log holds: an acknowledged record is there, where it was
 * said to be. It may be there twice: after a delivery that timed out the client numbers what is in
 * flight anew, and brokers cannot know.
 */
async function assertNoLies(log: Log, attempts: readonly Attempt[]): Promise<void> {
  const found = await contents(log)
  const sent = new Set(attempts.map(({ bytes }) => Buffer.from(bytes).toString()))
  for (const text of found.keys()) assert(sent.has(text), `never sent: ${text}`)
  for (const { partition, bytes, offset, error } of attempts) {
    const places = found.get(Buffer.from(bytes).toString()) ?? []
    if (error === undefined) {
      const there = places.some((at) => at.partition === partition && at.offset === offset)
      assert(there, `acknowledged at ${partition}/${offset} and not there`)
    } else {
      assert(error instanceof LedgerError && error.code === 'LOG_UNAVAILABLE')
    }
  }
  for (let partition = 0; partition < partitions; partition += 1) {
    const offsets = attempts.flatMap((each) =>
      each.partition === partition && each.offset !== undefined ? [each.offset] : [],
    )
    assert.deepEqual(
      offsets,
      offsets.toSorted((a, b) => a - b),
      'offsets in call order',
    )
  }
}

async function appendsAgain(log: Log, attempts: Attempt[]): Promise<void> {
  await until(async () => {
    await attempt(log, attempts)
    return attempts.at(-1)?.offset !== undefined
  })
  await until(() => log.unavailable() === undefined)
}

const interruptions: [string, () => Promise<void>][] = [
  ['stopped', () => trial.kafka.stop()],
  ['killed', () => trial.kafka.kill()],
]

for (const [what, interrupt] of interruptions) {
  test(`a broker ${what} in mid-append makes no acknowledgement a lie`, async (t) => {
    const log = await opened(t)
    const attempts: Attempt[] = []
    const outage = (async () => {
      await until(() => attempts.length >= 100)
      await interrupt()
      await until(() => log.unavailable() !== undefined)
      // Deliveries time out after 3 seconds.
      await until(() => attempts.some(({ error }) => error !== undefined))
      await trial.kafka.start()
    })()
    await appendUntil(log, attempts, outage)
    await outage
    await appendsAgain(log, attempts)
    await assertNoLies(log, attempts)
  })
}

test('a broker that hangs makes no acknowledgement a lie', async (t) => {
  const log = await opened(t)
  const attempts: Attempt[] = []
  const outage = (async () => {
    await until(() => attempts.length >= 100)
    trial.kafka.freeze()
    await until(() => attempts.some(({ error }) => error !== undefined))
    trial.kafka.thaw()
  })()
  await appendUntil(log, attempts, outage)
  await outage
  await appendsAgain(log, attempts)
  await assertNoLies(log, attempts)
})

test('a short restart of the broker fails no append', async (t) => {
  const log = await opened(t, { properties: { 'message.timeout.ms': '60000' } })
  const attempts: Attempt[] = []
  const outage = (async () => {
    await until(() => attempts.length >= 100)
    await trial.kafka.kill()
    await trial.kafka.start()
  })()
  await appendUntil(log, attempts, outage)
  assert.deepEqual(
    attempts.filter(({ error }) => error !== undefined),
    [],
  )
  await assertNoLies(log, attempts)
})

test('a log opened while no broker listens opens once one does', async () => {
  const topic = trial.topic()
  await trial.kafka.stop()
  let open = false
  const opening = trial.open({ topic }).then((log) => {
    open = true
    return log
  })
  await delay(1000)
  assert.equal(open, false)
  await trial.kafka.start()
  const log = await opening
  assert.equal(await log.append(0, Buffer.from('first')), 0)
  await log.close()
})

test('a reader goes on where it was after the broker was killed', async (t) => {
  const log = await opened(t)
  const reader = await log.openReader({ onFault: (_, error) => assert.fail(error) })
  await reader.assign(new Map([[0, 0]]))
  await log.append(0, Buffer.from('before'))
  assert.equal((await readUntil(reader, (all) => all.length > 0)).length, 1)
  await trial.kafka.kill()
  assert.deepEqual(await reader.read(1000), [])
  await trial.kafka.start()
  await appendsAgain(log, [])
  const offset = await log.append(0, Buffer.from('after'))
  const records = await readUntil(reader, (all) => all.some((each) => each.offset === offset))
  assert.equal(Buffer.from(records.at(-1)?.bytes ?? []).toString(), 'after')
  await reader.close()
  await log.close()
})

test('closing takes bounded time while no broker listens', async (t) => {
  const log = await opened(t)
  const reader = await log.openReader({ onFault: () => {} })
  await reader.assign(new Map([[0, 0]]))
  await log.release(new Map([[0, 0]]))
  await trial.kafka.stop()
  const attempts: Attempt[] = []
  const append = attempt(log, attempts)
  const started = Date.now()
  await reader.close()
  await log.close()
  await append
  assert(Date.now() - started < 25_000)
  const [only] = attempts
  assert(only?.error instanceof LedgerError && only.error.code === 'LOG_UNAVAILABLE')
  await trial.kafka.start()
})
