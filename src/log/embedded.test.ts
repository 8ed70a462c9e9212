// The embedded log: the suite of every log, and what only this one promises.

import assert from 'node:assert/strict'
import { EventEmitter, once } from 'node:events'
import { mkdtemp, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { LedgerError } from '../errors.ts'
import { assertSameBytes, bytesOf, offsetsOf, readExactly } from './conformance-tools.ts'
import { describeLog } from './conformance.ts'
import { EmbeddedReader } from './embedded-reader.ts'
import { EmbeddedRecords } from './embedded-records.ts'
import { EmbeddedStore, type StoreTransaction } from './embedded-store.ts'
import { EmbeddedWriter, fileBytesMaxOf } from './embedded-writer.ts'
import { openEmbeddedLog } from './embedded.ts'
import type { Log, Offset } from './log.ts'

const mebibyte = 1 << 20
const unexpected = {
  onFault: (_: number, error: LedgerError): never => assert.fail(error.message),
}

describeLog('embedded', async () => {
  const parent = await mkdtemp(join(tmpdir(), 'embedded-log-'))
  const directory = join(parent, 'data', 'log')
  return {
    open: () => openEmbeddedLog({ directory, diskBytesMax: 256 * mebibyte }),
    truncate: (log, partition, before) => log.release(new Map([[partition, before]])),
    recreate: () => rm(directory, { recursive: true }),
    destroy: () => rm(parent, { recursive: true }),
  }
})

/** A directory of its own for one test. */
async function withDirectory(body: (directory: string) => Promise<void>): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'embedded-log-'))
  try {
    await body(directory)
  } finally {
    await rm(directory, { recursive: true })
  }
}

function hasCode(code: string, words: RegExp): (error: unknown) => boolean {
  return (error) => error instanceof LedgerError && error.code === code && words.test(error.message)
}

async function readFrom(log: Log, partition: number, offset: Offset): Promise<Offset[]> {
  const reader = await log.openReader(unexpected)
  await reader.assign(new Map([[partition, offset]]))
  const { next } = (await log.ranges([partition])).get(partition) ?? assert.fail()
  const records = await readExactly(reader, next - offset)
  await reader.close()
  return offsetsOf(records, partition)
}

test('offsets follow each other without a gap, from 0', () =>
  withDirectory(async (directory) => {
    const log = await openEmbeddedLog({ directory, diskBytesMax: 16 * mebibyte })
    const appends = Array.from({ length: 20 }, () => log.append(3, bytesOf(0, 10)))
    assert.deepEqual(await Promise.all(appends), [...appends.keys()])
    await log.close()
  }))

test('a partition trimmed empty goes on counting after opening again', () =>
  withDirectory(async (directory) => {
    const options = { directory, diskBytesMax: 16 * mebibyte }
    const log = await openEmbeddedLog(options)
    for (let at = 0; at < 5; at += 1) await log.append(1, bytesOf(at, 100))
    await log.release(new Map([[1, 5]]))
    await log.close()
    const again = await openEmbeddedLog(options)
    assert.deepEqual((await again.ranges([1])).get(1), { first: 5, next: 5 })
    assert.equal(await again.append(1, bytesOf(5, 100)), 5)
    assert.deepEqual(await readFrom(again, 1, 5), [5])
    await again.close()
  }))

test('a log made with another number of partitions is refused', () =>
  withDirectory(async (directory) => {
    const made = await openEmbeddedLog({ directory, partitions: 64, diskBytesMax: mebibyte })
    await made.close()
    const opening = openEmbeddedLog({ directory, partitions: 128, diskBytesMax: mebibyte })
    await assert.rejects(opening, hasCode('PARTITION_COUNT_CHANGED', /128.*64/))
    const again = await openEmbeddedLog({ directory, partitions: 64, diskBytesMax: mebibyte })
    await again.close()
  }))

test('a directory is used by one opener at a time', () =>
  withDirectory(async (directory) => {
    const options = { directory, diskBytesMax: mebibyte }
    const log = await openEmbeddedLog(options)
    await assert.rejects(openEmbeddedLog(options), (error: Error) => {
      assert(error.message.includes(directory) && error.message.includes(`${process.pid}`))
      return hasCode('DATA_DIR_LOCKED', /in use/)(error)
    })
    await log.close()
    await (await openEmbeddedLog(options)).close()
  }))

test('appends past the disk budget are refused until records are released', () =>
  withDirectory(async (directory) => {
    const diskBytesMax = 8 * mebibyte
    const log = await openEmbeddedLog({ directory, diskBytesMax })
    const full = hasCode('LOG_FULL', /8388608/)
    const taken = await fillUp(log, 60_000)
    await assert.rejects(log.append(0, bytesOf(0, 60_000)), full)
    assert.match(log.unavailable() ?? '', /disk budget/)
    assert(taken > 100, 'the budget is there to be used')
    assert.deepEqual((await log.ranges([0])).get(0), { first: 0, next: taken }, 'nothing taken')
    await log.release(new Map([[0, taken - 10]]))
    assert.equal(log.unavailable(), undefined)
    assert.equal(await log.append(0, bytesOf(1, 60_000)), taken)
    assert.equal((await readFrom(log, 0, taken - 10)).length, 11)
    await log.close()
  }))

/** Appends to partition 0 until the log is full, many at once, and returns how many were taken. */
async function fillUp(log: Log, length: number): Promise<number> {
  for (let taken = 0; ;) {
    const appends = Array.from({ length: 16 }, () => log.append(0, bytesOf(1, length)))
    const settled = await Promise.allSettled(appends)
    const fulfilled = settled.filter(({ status }) => status === 'fulfilled').length
    taken += fulfilled
    if (fulfilled < appends.length) return taken
  }
}

test('the budget counts pages, is not exceeded, and the file stays near it', () =>
  withDirectory(async (directory) => {
    const diskBytesMax = 8 * mebibyte
    const store = await EmbeddedStore.open(directory, 128, fileBytesMaxOf(diskBytesMax))
    const records = new EmbeddedRecords(store)
    const writer = new EmbeddedWriter(store, records, diskBytesMax, undefined)
    for (let round = 0; round < 40; round += 1) {
      const lengths = Array.from({ length: 400 }, (_, at) => (at * 7919 + round * 104_729) % 9000)
      await Promise.allSettled(
        lengths.map((length, at) => writer.append(at % 128, bytesOf(at, length))),
      )
      assert(store.usage().liveBytes <= diskBytesMax)
      const positions = records.partitions.map(({ number, next }): [number, Offset] => [
        number,
        number % 8 === 0 ? Math.floor(next / 2) : next,
      ])
      await writer.release(new Map(positions))
    }
    await writer.close()
    await store.close()
    assert((await stat(join(directory, 'log.mdb'))).size < 2 * diskBytesMax)
  }))

interface Watched {
  writer: EmbeddedWriter
  records: EmbeddedRecords
  /** Appends in each transaction so far. */
  transactions: number[]
  close: () => Promise<void>
}

/**
 * A writer whose transactions pass through `around`, which may hold back what the disk says, or
 * fail instead.
 */
async function openWatched(
  directory: string,
  around: (commit: () => Promise<void>, count: number) => Promise<void>,
): Promise<Watched> {
  const store = await EmbeddedStore.open(directory, 4, 64 * mebibyte)
  const commit = store.commit.bind(store)
  const transactions: number[] = []
  store.commit = (transaction: StoreTransaction): Promise<void> => {
    transactions.push(transaction.appends.length)
    return around(() => commit(transaction), transactions.length)
  }
  const records = new EmbeddedRecords(store)
  const writer = new EmbeddedWriter(store, records, mebibyte, undefined)
  const close = async (): Promise<void> => {
    await writer.close()
    await store.close()
  }
  return { writer, records, transactions, close }
}

test('no reader sees a record before it is known to be on disk', () =>
  withDirectory(async (directory) => {
    const disk = new EventEmitter()
    const written = once(disk, 'written')
    const { writer, records, close } = await openWatched(directory, async (commit) => {
      await commit()
      await written
    })
    const reader = new EmbeddedReader(records, unexpected)
    await reader.assign(new Map([[0, 0]]))
    const append = writer.append(0, bytesOf(0, 100))
    assert.deepEqual(await reader.read(1000), [])
    assert.deepEqual(await reader.read(1000), [])
    assert.deepEqual(records.range(0), { first: 0, next: 0 })
    disk.emit('written')
    assert.equal(await append, 0)
    assert.equal((await readExactly(reader, 1))[0]?.offset, 0)
    await reader.close()
    await close()
  }))

test('a transaction that fails leaves no record and no gap', () =>
  withDirectory(async (directory) => {
    const full = new LedgerError('LOG_FULL', 'the disk is full')
    const { writer, records, close } = await openWatched(directory, (commit, count) =>
      count === 2 ? Promise.reject(full) : commit(),
    )
    await writer.append(0, bytesOf(0, 100))
    await assert.rejects(writer.append(0, bytesOf(1, 100)), full)
    assert.equal(writer.unavailable(), 'the disk is full')
    assert.deepEqual(records.range(0), { first: 0, next: 1 })
    assert.equal(await writer.append(0, bytesOf(2, 100)), 1)
    assert.equal(writer.unavailable(), undefined)
    assertSameBytes(records.read(0, 1).bytes, bytesOf(2, 100), 'the record')
    await close()
  }))

test('a release says so while the disk cannot be written, and is done later', () =>
  withDirectory(async (directory) => {
    const broken = new LedgerError('LOG_UNAVAILABLE', 'the disk does not answer')
    let isBroken = false
    const { writer, records, close } = await openWatched(directory, (commit) =>
      isBroken ? Promise.reject(broken) : commit(),
    )
    for (let at = 0; at < 3; at += 1) await writer.append(0, bytesOf(at, 100))
    isBroken = true
    await assert.rejects(writer.release(new Map([[0, 2]])), broken)
    await assert.rejects(writer.release(new Map([[0, 2]])), broken)
    isBroken = false
    await writer.release(new Map([[0, 2]]))
    assert.equal(records.partition(0).trimmed, 2)
    await close()
  }))

test('appends made while a transaction is under way share the next one', () =>
  withDirectory(async (directory) => {
    const { writer, transactions, close } = await openWatched(directory, (commit) => commit())
    const first = writer.append(0, bytesOf(0, 100))
    await setImmediate()
    const others = Array.from({ length: 50 }, (_, at) => writer.append(at % 4, bytesOf(at, 100)))
    await Promise.all([first, ...others])
    assert.deepEqual(transactions, [1, 50])
    await close()
  }))

test('readers far behind read from disk what memory no longer has', () =>
  withDirectory(async (directory) => {
    const log = await openEmbeddedLog({ directory, diskBytesMax: 256 * mebibyte })
    const [count, length] = [300, 200_000] // More than is kept in memory.
    for (let at = 0; at < count; at += 20) {
      const appends = Array.from({ length: 20 }, (_, more) =>
        log.append((at + more) % 3, bytesOf(at + more, length)),
      )
      await Promise.all(appends)
    }
    const reader = await log.openReader(unexpected)
    await reader.assign(
      new Map([
        [0, 0],
        [1, 50],
        [2, 0],
      ]),
    )
    const seen: Offset[] = [0, 50, 0]
    const isDone = (): boolean => seen.every((next) => next === count / 3)
    for (const deadline = Date.now() + 20_000; !isDone();) {
      assert(Date.now() < deadline, `stuck at ${seen.join()}`)
      for (const record of await reader.read(mebibyte)) {
        assert.equal(record.offset, seen[record.partition])
        const seed = record.offset * 3 + record.partition
        assertSameBytes(record.bytes, bytesOf(seed, length), `record ${seed}`)
        seen[record.partition] = record.offset + 1
      }
    }
    await reader.close()
    await log.close()
  }))

test('a reader whose next record is released is told so', () =>
  withDirectory(async (directory) => {
    const log = await openEmbeddedLog({ directory, diskBytesMax: 16 * mebibyte })
    const faults: [number, string][] = []
    const reader = await log.openReader({
      onFault: (partition, { code }) => faults.push([partition, code]),
    })
    for (let at = 0; at < 10; at += 1) await log.append(2, bytesOf(at, 1000))
    await reader.assign(new Map([[2, 0]]))
    assert.deepEqual(offsetsOf(await reader.read(3500), 2), [0, 1, 2])
    await log.release(new Map([[2, 5]]))
    assert.deepEqual(await reader.read(1000), [])
    assert.deepEqual(faults, [[2, 'OFFSET_GONE']])
    await reader.close()
    await log.close()
  }))

test('a release beyond the end is of records we do not have, and lets go of none we have', () =>
  withDirectory(async (directory) => {
    const log = await openEmbeddedLog({ directory, diskBytesMax: 16 * mebibyte })
    for (let at = 0; at < 5; at += 1) await log.append(2, bytesOf(at, 1000))
    await log.release(new Map([[2, 6]]))
    assert.deepEqual(await readFrom(log, 2, 0), [0, 1, 2, 3, 4])
    await log.close()
  }))
