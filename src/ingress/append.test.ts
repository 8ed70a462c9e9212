import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { setImmediate as turn, setTimeout as delay } from 'node:timers/promises'
import fc from 'fast-check'
import { ByteBudget } from '../http/budget.ts'
import { LedgerError } from '../errors.ts'
import { slabBytes } from '../limits.ts'
import { entryBytes } from '../record/layout.ts'
import { HeldLog } from '../testing/held-log.ts'
import { Appender } from './append.ts'
import { Backlog } from './backlog.ts'
import { RequestBatch } from '../batch/batch.ts'

/** Long enough that no test ever sees it pass. */
const never = 2 ** 30
const mebibyte = 1024 * 1024
const slabEntries = Math.floor(slabBytes / entryBytes)

interface Given {
  lingerMs?: number
  budgetBytes?: number
}

function given(
  t: TestContext,
  { lingerMs = never, budgetBytes = 64 * mebibyte }: Given = {},
): { log: HeldLog; budget: ByteBudget; appender: Appender } {
  const log = new HeldLog()
  const budget = new ByteBudget(budgetBytes)
  const appender = new Appender({ log, lingerMs, budget })
  t.after(async () => {
    log.confirmsAtOnce = true
    log.confirmAll()
    await appender.stop()
  })
  return { log, budget, appender }
}

/** A batch with one entry for each of these partitions; entry i is filled with `first + i`. */
function batchOf(partitions: readonly number[], first = 0): RequestBatch {
  const batch = new RequestBatch()
  batch.count = partitions.length
  partitions.forEach((partition, i) => {
    batch.partitions[i] = partition
    const at = i * entryBytes
    batch.entries.fill((first + i) & 0xff, at, at + entryBytes)
    new DataView(batch.entries.buffer).setUint32(at, first + i)
  })
  return batch
}

/** Numbers of the entries in a record, in order. */
function numbersIn(record: Uint8Array): number[] {
  const view = new DataView(record.buffer, record.byteOffset, record.byteLength)
  return Array.from({ length: record.length / entryBytes }, (_, i) =>
    view.getUint32(i * entryBytes),
  )
}

/** What a promise has come to by now: the turn after next. */
async function stateOf(promise: Promise<unknown>): Promise<'pending' | 'kept' | 'broken'> {
  let state: 'pending' | 'kept' | 'broken' = 'pending'
  promise.then(
    () => (state = 'kept'),
    () => (state = 'broken'),
  )
  await turn()
  await turn()
  return state
}

function codeOf(code: string): (error: unknown) => boolean {
  return (error) => error instanceof LedgerError && error.code === code
}

test('a request is acknowledged after the last of its records, never before', async (t) => {
  const { log, appender } = given(t)
  const durable = appender.add(batchOf([5, 9, 127]))
  await log.appended(3)
  log.appends[0]?.confirm(70)
  log.appends[2]?.confirm(72)
  assert.equal(await stateOf(durable), 'pending')
  log.appends[1]?.confirm(71)
  const { offsets } = await durable
  assert.deepEqual([offsets[5], offsets[9], offsets[127], offsets[0]], [70, 71, 72, -1])
})

test('a request has the times its records have in the log, of the first by partition', async (t) => {
  const { log, appender } = given(t)
  const before = Date.now()
  const durable = appender.add(batchOf(new Array<number>(5000).fill(3)))
  await log.appended(3)
  while (Date.now() === before) await turn()
  log.confirmAll()
  await log.appended(4)
  log.confirmAll()
  const { times } = await durable
  const appended = log.appends.map(({ timestamp }) => timestamp)
  assert(appended.every((time) => time >= before && time <= Date.now()))
  assert(times[3] < appended[3], 'the records differ in their times')
  assert.equal(times[3], Math.min(...appended))
  assert.equal(times[4], -1)
})

test('in any order of confirmations every request is acknowledged with its last one', async (t) => {
  const requests = fc.array(fc.array(fc.nat(5), { minLength: 1, maxLength: 40 }), {
    minLength: 1,
    maxLength: 8,
  })
  await fc.assert(
    fc.asyncProperty(requests, fc.infiniteStream(fc.nat()), async (lists, choices) => {
      const { log, appender } = given(t)
      const states = lists.map((list, i) => {
        const state = { kept: false }
        const batch = batchOf(list, i * 1000)
        void appender.add(batch).then(() => (state.kept = true))
        return state
      })
      await turn()
      const held = log.appends.splice(0)
      const missing = lists.map((_, i) => numbersOf(held, i))
      while (held.length > 0) {
        const choice = choices.next().value as number
        const [append] = held.splice(choice % held.length, 1)
        assert(append)
        append.confirm(1)
        await turn()
        for (const numbers of missing) {
          for (const number of numbersIn(append.copy)) numbers.delete(number)
        }
        assert.deepEqual(
          states.map(({ kept }) => kept),
          missing.map((numbers) => numbers.size === 0),
        )
      }
      assert.equal(appender.pendingBytes, 0)
    }),
    { numRuns: 50 },
  )
})

function numbersOf(appends: readonly { copy: Uint8Array }[], request: number): Set<number> {
  const all = appends.flatMap(({ copy }) => numbersIn(copy))
  return new Set(all.filter((number) => Math.floor(number / 1000) === request))
}

test('a failed append breaks every request with an entry in it, and no other', async (t) => {
  const { log, appender } = given(t)
  const both = appender.add(batchOf([1, 2]))
  const other = appender.add(batchOf([2]))
  await log.appended(2)
  log.appends[0]?.fail(new LedgerError('LOG_UNAVAILABLE', 'cut'))
  await assert.rejects(both, codeOf('LOG_UNAVAILABLE'))
  assert.equal(await stateOf(other), 'pending')
  log.appends[1]?.confirm(1)
  await other
})

test('entries of a partition stand in the log in the order of the requests', async (t) => {
  const { log, appender } = given(t, { lingerMs: 1 })
  const count = Math.ceil(slabEntries * 2.5)
  const all: Promise<unknown>[] = []
  for (let first = 0; first < count; first += 500) {
    const size = Math.min(500, count - first)
    all.push(appender.add(batchOf(new Array<number>(size).fill(3), first)))
  }
  log.confirmsAtOnce = true
  log.confirmAll()
  await Promise.all(all)
  const numbers = log.appends.flatMap(({ copy }) => numbersIn(copy))
  assert.deepEqual(
    numbers,
    Array.from({ length: count }, (_, i) => i),
  )
})

test('a record holds whole entries and is no larger than a slab', async (t) => {
  const { log, appender } = given(t)
  const durable = appender.add(batchOf(new Array<number>(5000).fill(3)))
  await log.appended(3)
  log.confirmAll()
  await log.appended(4)
  const sizes = log.appends.map(({ bytes }) => bytes.length)
  assert.deepEqual(sizes.slice(0, 3), new Array(3).fill(slabEntries * entryBytes))
  assert.equal(
    sizes.reduce((sum, size) => sum + size, 0),
    5000 * entryBytes,
  )
  log.confirmAll()
  const { offsets } = await durable
  assert.equal(offsets[3], 3)
})

test('idle: what came in one turn of the event loop goes to the log at its end', async (t) => {
  const { log, appender } = given(t)
  void appender.add(batchOf([7]))
  void appender.add(batchOf([7]))
  assert.equal(log.appends.length, 0)
  await turn()
  assert.deepEqual(
    log.appends.map(({ copy }) => copy.length / entryBytes),
    [2],
  )
})

test('idle: what arrives while appends are under way leaves together', async (t) => {
  const { log, appender } = given(t)
  void appender.add(batchOf([7]))
  await log.appended(1)
  for (let i = 0; i < 10; i++) {
    void appender.add(batchOf([7]))
    await turn()
  }
  assert.equal(log.appends.length, 1)
  log.appends[0]?.confirm(0)
  await log.appended(2)
  assert.equal(log.appends[1]?.copy.length, 10 * entryBytes)
})

test('linger: nothing waits longer for a log that is busy', async (t) => {
  const { log, appender } = given(t, { lingerMs: 20 })
  void appender.add(batchOf([7]))
  await log.appended(1)
  void appender.add(batchOf([8]))
  await turn()
  assert.equal(log.appends.length, 1)
  await log.appended(2)
  assert.equal(log.appends[1]?.partition, 8)
})

/** Four requests of one entry, acknowledged: the appender then expects as much again. */
async function fourAcknowledged(log: HeldLog, appender: Appender): Promise<void> {
  const all = [1, 2, 3, 4].map((partition) => appender.add(batchOf([partition])))
  await log.appended(4)
  // Long enough that the misses below are told from turns of the event loop.
  await delay(50)
  log.confirmAll()
  await Promise.all(all)
}

test('idle: of many clients that were answered, half are waited for', async (t) => {
  const { log, appender } = given(t)
  await fourAcknowledged(log, appender)
  void appender.add(batchOf([7]))
  await turn()
  await turn()
  assert.equal(log.appends.length, 4)
  void appender.add(batchOf([7]))
  await turn()
  assert.deepEqual(
    log.appends.slice(4).map(({ copy }) => copy.length / entryBytes),
    [2],
  )
})

test('miss: who stays away twice as long as the log took is expected no more', async (t) => {
  const { log, appender } = given(t)
  await fourAcknowledged(log, appender)
  const late = appender.add(batchOf([7]))
  await turn()
  assert.equal(log.appends.length, 4)
  await log.appended(5)
  log.confirmAll()
  await late
  void appender.add(batchOf([7]))
  await turn()
  assert.equal(log.appends.length, 6)
})

test('idle: large records wait for nobody', async (t) => {
  const { log, appender } = given(t)
  const many = [1, 2, 3].map((first) => appender.add(batchOf(new Array<number>(1000).fill(first))))
  await log.appended(3)
  log.confirmAll()
  await Promise.all(many)
  void appender.add(batchOf(new Array<number>(Math.ceil(slabBytes / 2 / entryBytes)).fill(7)))
  await turn()
  assert.equal(log.appends.length, 4)
})

test('full: a slab that is full does not wait for the others', async (t) => {
  const { log, appender } = given(t)
  void appender.add(batchOf([1]))
  await log.appended(1)
  void appender.add(batchOf([2, ...new Array<number>(slabEntries + 1).fill(3)]))
  await turn()
  assert.deepEqual(
    log.appends.map(({ partition, copy }) => [partition, copy.length / entryBytes]),
    [
      [1, 1],
      [3, slabEntries],
    ],
  )
})

test('bytes under way never change, however much follows', async (t) => {
  const { log, appender } = given(t, { lingerMs: 1 })
  const partitions = Array.from({ length: 5000 }, (_, i) => i % 3)
  for (let i = 0; i < 20; i++) {
    void appender.add(batchOf(partitions, i * 5000))
    await turn()
    log.appends[i]?.confirm(i)
  }
  await appendedAll(log, 20 * 5000)
  for (const { bytes, copy } of log.appends.slice(20)) assert.deepEqual(bytes, copy)
})

async function appendedAll(log: HeldLog, entries: number): Promise<void> {
  const total = (): number =>
    log.appends.reduce((sum, { copy }) => sum + copy.length / entryBytes, 0)
  while (total() < entries) await log.appended(log.appends.length + 1)
}

test('a request that does not fit the budget is refused whole and leaves no byte', async (t) => {
  const { log, budget, appender } = given(t, { budgetBytes: 10 * entryBytes })
  const first = appender.add(batchOf([1, 2, 3, 4, 5, 6]))
  await assert.rejects(appender.add(batchOf([1, 2, 3, 4, 5])), codeOf('OVERLOADED'))
  const third = appender.add(batchOf([1, 2, 3, 4], 100))
  await turn()
  log.confirmAll()
  await Promise.all([first, third])
  const numbers = log.appends.flatMap(({ copy }) => numbersIn(copy))
  assert.deepEqual(
    numbers.sort((a, b) => a - b),
    [0, 1, 2, 3, 4, 5, 100, 101, 102, 103],
  )
  assert.equal(budget.taken, 0)
})

test('a failed append gives its bytes back', async (t) => {
  const { log, budget, appender } = given(t)
  const lost = appender.add(batchOf([1]))
  await log.appended(1)
  log.appends[0]?.fail(new LedgerError('LOG_FULL', 'full'))
  await assert.rejects(lost, codeOf('LOG_FULL'))
  assert.equal(budget.taken, 0)
})

test('stopping makes durable what was taken and takes nothing more', async (t) => {
  const { log, appender } = given(t)
  const taken = [appender.add(batchOf([1])), appender.add(batchOf([2]))]
  const stopped = appender.stop()
  assert.equal(log.appends.length, 2)
  await assert.rejects(appender.add(batchOf([3])), codeOf('STOPPING'))
  assert.equal(await stateOf(stopped), 'pending')
  log.confirmAll()
  await stopped
  await Promise.all(taken)
  assert.equal(log.appends.length, 2)
})

/** A backlog that is over its limit while commits go on, so that it says to hold. */
function heldBack(t: TestContext): { backlog: Backlog; log: HeldLog; appender: Appender } {
  const backlog = new Backlog(0)
  backlog.add(0, 0, 1)
  backlog.advance(0, 1)
  backlog.add(0, 5, 1)
  assert(backlog.isHolding)
  const log = new HeldLog()
  const budget = new ByteBudget(64 * mebibyte)
  const appender = new Appender({ log, lingerMs: 1, budget, backlog })
  t.after(async () => {
    log.confirmsAtOnce = true
    log.confirmAll()
    await appender.stop()
  })
  return { backlog, log, appender }
}

test('held back, nothing goes to the log, and then all of it in order', async (t) => {
  const { backlog, log, appender } = heldBack(t)
  const count = slabEntries * 2 + 10
  for (let first = 0; first < count; first += 500) {
    const size = Math.min(500, count - first)
    void appender.add(batchOf(new Array<number>(size).fill(3), first))
  }
  // Longer than the linger, which must not cut either.
  await delay(20)
  assert.equal(log.appends.length, 0)
  backlog.advance(0, 6)
  await appendedAll(log, count)
  assert.deepEqual(
    log.appends.flatMap(({ copy }) => numbersIn(copy)),
    Array.from({ length: count }, (_, i) => i),
  )
})

test('stopping makes durable what was held back', async (t) => {
  const { log, appender } = heldBack(t)
  const taken = appender.add(batchOf([1, 2]))
  const stopped = appender.stop()
  assert.equal(log.appends.length, 2)
  log.confirmAll()
  await Promise.all([taken, stopped])
})
