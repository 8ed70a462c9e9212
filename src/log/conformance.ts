// The conformance suite of the log: what every implementation promises to its callers.
// In:  a way to make a log, to cut its tail off, and to replace it.
// Out: node:test tests, named after the promises.
// Absent: anything that only one implementation promises; offsets that must follow each other
//         without a gap.

import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { setImmediate, setTimeout as sleep } from 'node:timers/promises'
import { LedgerError } from '../errors.ts'
import { recordBytesMax } from '../limits.ts'
import {
  Trial,
  assertAscending,
  assertSameBytes,
  bytesOf,
  offsetsOf,
  readExactly,
  readUntil,
  type Fault,
  type LogFixture,
} from './conformance-tools.ts'
import type { Offset } from './log.ts'

export type { LogFixture } from './conformance-tools.ts'

type Promised = (promise: string, body: (trial: Trial) => Promise<void>) => void

/** Registers the tests. Each makes its own fixture, which has at least 16 partitions. */
export function describeLog(name: string, createFixture: () => Promise<LogFixture>): void {
  describe(`${name} log`, () => {
    const promised: Promised = (promise, body) => {
      test(promise, () => Trial.run(createFixture, body))
    }
    describeAppends(promised)
    describeReads(promised)
    describeAssignments(promised)
    describeFaults(promised)
    describeReopening(promised)
    describeClosing(promised)
  })
}

function describeAppends(promised: Promised): void {
  promised('an append is read back with its bytes, offset and time', async (trial) => {
    const bytes = bytesOf(1, 300)
    const before = Date.now()
    const offset = await trial.log.append(3, bytes)
    const after = Date.now()
    const records = await readExactly(await trial.reader([[3, 0]]), 1)
    const record = records.at(0) ?? assert.fail()
    assert.deepEqual([record.partition, record.offset], [3, offset])
    assertSameBytes(record.bytes, bytes, 'the record')
    assert(record.timestamp >= before && record.timestamp <= after)
  })

  promised('a record that is given a time has it at every read', async (trial) => {
    // A receipt names it, and it becomes created_at of the rows.
    const timestamp = Date.now() - 5000
    await trial.log.append(3, bytesOf(1, 300), timestamp)
    for (let read = 0; read < 2; read += 1) {
      const records = await readExactly(await trial.reader([[3, 0]]), 1)
      assert.equal(records[0]?.timestamp, timestamp)
    }
  })

  promised(
    'a record is what it was when appended, whatever becomes of the buffer',
    async (trial) => {
      const buffer = new Uint8Array(1000).fill(7)
      const first = trial.log.append(0, buffer.subarray(100, 200))
      await first
      buffer.fill(9)
      await trial.log.append(0, buffer.subarray(500, 600))
      const records = await readExactly(await trial.reader([[0, 0]]), 2)
      assertSameBytes(records[0]?.bytes ?? buffer, new Uint8Array(100).fill(7), 'the first record')
      assertSameBytes(records[1]?.bytes ?? buffer, new Uint8Array(100).fill(9), 'the second record')
    },
  )

  promised('appends to a partition get ascending offsets in call order', async (trial) => {
    const appended = Array.from({ length: 100 }, (_, seed) => bytesOf(seed, 50 + seed))
    const offsets = await trial.fill(1, appended)
    assertAscending(offsets)
    const records = await readExactly(await trial.reader([[1, 0]]), 100)
    assert.deepEqual(offsetsOf(records, 1), offsets)
    records.forEach((record, at) => {
      assertSameBytes(record.bytes, bytesOf(at, 50 + at), `record ${at}`)
    })
  })

  promised('records of 0 bytes to 1 MiB come back whole', async (trial) => {
    const lengths = [1, 0, 2, 47, 4095, 4096, 4097, 65_536, 500_001, recordBytesMax, 0, 3]
    await trial.fill(
      0,
      lengths.map((length, seed) => bytesOf(seed, length)),
    )
    const records = await readExactly(await trial.reader([[0, 0]]), lengths.length)
    records.forEach((record, at) => {
      assertSameBytes(record.bytes, bytesOf(at, lengths[at] ?? -1), `record ${at}`)
    })
  })

  promised('appends to many partitions at once are each there once, in order', async (trial) => {
    const [partitions, rounds] = [16, 60]
    const appends: Promise<Offset>[] = []
    for (let round = 0; round < rounds; round += 1) {
      for (let partition = 0; partition < partitions; partition += 1) {
        const seed = round * partitions + partition
        appends.push(trial.log.append(partition, bytesOf(seed, 10 + ((seed * 37) % 3000))))
      }
      if (round % 7 === 0) await appends.at(-1)
    }
    const offsets = await Promise.all(appends)
    const all = Array.from({ length: partitions }, (_, at): [number, Offset] => [at, 0])
    const records = await readExactly(await trial.reader(all), partitions * rounds)
    for (let partition = 0; partition < partitions; partition += 1) {
      const mine = records.filter((record) => record.partition === partition)
      const expected = offsets.filter((_, at) => at % partitions === partition)
      assert.deepEqual(offsetsOf(records, partition), expected)
      mine.forEach((record, round) => {
        const seed = round * partitions + partition
        assertSameBytes(record.bytes, bytesOf(seed, 10 + ((seed * 37) % 3000)), `seed ${seed}`)
      })
    }
  })

  promised('a log that takes appends does not call itself unavailable', async (trial) => {
    await trial.log.append(0, bytesOf(0, 10))
    assert.equal(trial.log.unavailable(), undefined)
  })
}

function describeReads(promised: Promised): void {
  promised('a reader at the end gets what is appended afterwards', async (trial) => {
    const old = await trial.log.append(2, bytesOf(0, 20))
    const reader = await trial.reader([[2, old + 1]])
    assert.deepEqual(await reader.read(1000), [])
    const later = await trial.fill(2, [bytesOf(1, 20), bytesOf(2, 20)])
    assert.deepEqual(offsetsOf(await readExactly(reader, 2), 2), later)
  })

  promised('a read with nothing to return ends by itself', async (trial) => {
    const idle = await trial.reader([[0, 0]])
    const unassigned = await trial.reader([])
    const deadline = AbortSignal.timeout(5000)
    assert.deepEqual([await idle.read(1000), await unassigned.read(1000)], [[], []])
    assert.equal(deadline.aborted, false)
  })

  promised(
    'a read returns about as many bytes as asked, and at least one record',
    async (trial) => {
      const [count, length] = [60, 10_000]
      await trial.fill(
        0,
        Array.from({ length: count }, (_, seed) => bytesOf(seed, length)),
      )
      const reader = await trial.reader([[0, 0]])
      const offsets: Offset[] = []
      for (let reads = 0; offsets.length < count; reads += 1) {
        assert(reads < 1000, 'too many empty reads')
        const maxBytes = reads % 2 === 0 ? 25_000 : 1
        const records = await reader.read(maxBytes)
        assert(records.length <= Math.ceil(maxBytes / length), `${records.length} records`)
        offsets.push(...offsetsOf(records, 0))
      }
      assertAscending(offsets)
      assert.equal(offsets.length, count)
    },
  )

  promised('readers are independent of each other', async (trial) => {
    const offsets = await trial.fill(
      0,
      Array.from({ length: 10 }, (_, seed) => bytesOf(seed, 100)),
    )
    const ahead = await trial.reader([[0, 0]])
    const behind = await trial.reader([[0, 0]])
    const first = await readExactly(ahead, 10)
    await ahead.assign(new Map())
    const second = await readExactly(behind, 10)
    assert.deepEqual(offsetsOf(first, 0), offsets)
    assert.deepEqual(second, first)
  })
}

function describeAssignments(promised: Promised): void {
  promised('a reader returns the assigned partitions from the exact offsets', async (trial) => {
    const offsets = await Promise.all(
      [0, 1, 2].map((partition) =>
        trial.fill(
          partition,
          Array.from({ length: 20 }, (_, at) => bytesOf(partition * 20 + at, 100)),
        ),
      ),
    )
    const from = offsets[2]?.[13] ?? NaN
    const reader = await trial.reader([
      [0, 0],
      [2, from],
    ])
    const records = await readExactly(reader, 27)
    assert.deepEqual(offsetsOf(records, 0), offsets[0])
    assert.deepEqual(offsetsOf(records, 1), [])
    assert.deepEqual(offsetsOf(records, 2), offsets[2]?.slice(13))
    const first = records.find(({ partition }) => partition === 2)
    assertSameBytes(first?.bytes ?? new Uint8Array(), bytesOf(53, 100), 'the record assigned')
  })

  promised('an assignment replaces the one before', async (trial) => {
    const many = Array.from({ length: 50 }, (_, seed) => bytesOf(seed, 5000))
    const zero = await trial.fill(0, many)
    const one = await trial.fill(1, many)
    const reader = await trial.reader([[0, 0]])
    await readUntil(reader, (soFar) => soFar.length > 0, 20_000)
    await reader.assign(new Map([[1, one[10] ?? NaN]]))
    const second = await readExactly(reader, 40)
    assert.deepEqual(offsetsOf(second, 1), one.slice(10))
    await reader.assign(new Map([[0, zero[5] ?? NaN]]))
    const third = await readExactly(reader, 45)
    assert.deepEqual(offsetsOf(third, 0), zero.slice(5))
  })

  promised('a read under way while reassigned returns nothing of before', async (trial) => {
    const reader = await trial.reader([[0, 0]])
    const underWay = reader.read(1000)
    await reader.assign(new Map([[1, 0]]))
    await trial.fill(0, [bytesOf(0, 10)])
    const [offset] = await trial.fill(1, [bytesOf(1, 10)])
    const records = await underWay
    if (records.length === 0) records.push(...(await readExactly(reader, 1)))
    assert.deepEqual([records.length, offsetsOf(records, 1)], [1, [offset]])
    assert.deepEqual(await reader.read(1000), [])
  })
}

function describeFaults(promised: Promised): void {
  promised('a position the log no longer has is a fault of that partition alone', async (trial) => {
    const offsets = await trial.fill(
      4,
      Array.from({ length: 10 }, (_, seed) => bytesOf(seed, 100)),
    )
    const [wanted, kept] = [offsets[2] ?? NaN, offsets[6] ?? NaN]
    await trial.fixture.truncate(trial.log, 4, kept)
    const others = await trial.fill(5, [bytesOf(20, 100), bytesOf(21, 100)])
    const faults: Fault[] = []
    const positions: [number, Offset][] = [
      [4, wanted],
      [5, 0],
    ]
    const reader = await trial.reader(positions, faults)
    const records = await readUntil(reader, (all) => all.length >= 2 && faults.length > 0)
    assert.deepEqual([offsetsOf(records, 5), offsetsOf(records, 4)], [others, []])
    assert.deepEqual([faults[0]?.partition, faults[0]?.code], [4, 'OFFSET_GONE'])
    assert.match(faults[0]?.message ?? '', new RegExp(`\\b4\\b.*\\b${wanted}\\b`))
    await trial.fill(4, [bytesOf(10, 100)])
    assert.deepEqual(await reader.read(1000), [])
    await reader.assign(new Map([[4, kept]]))
    assert.deepEqual(offsetsOf(await readExactly(reader, 5), 4).slice(0, 4), offsets.slice(6))
    assert.equal(faults.length, 1)
  })

  promised('a position beyond the end is a fault of that partition alone', async (trial) => {
    const last = await trial.log.append(6, bytesOf(0, 100))
    const others = await trial.fill(7, [bytesOf(1, 100)])
    const faults: Fault[] = []
    const beyond = last + 1000
    const positions: [number, Offset][] = [
      [6, beyond],
      [7, 0],
    ]
    const reader = await trial.reader(positions, faults)
    const records = await readUntil(reader, (all) => all.length > 0 && faults.length > 0)
    assert.deepEqual([offsetsOf(records, 7), offsetsOf(records, 6)], [others, []])
    assert.deepEqual([faults[0]?.partition, faults[0]?.code], [6, 'OFFSET_BEYOND_END'])
    assert.match(faults[0]?.message ?? '', new RegExp(`\\b6\\b.*\\b${beyond}\\b`))
    await trial.fill(6, [bytesOf(2, 100)])
    assert.deepEqual(await reader.read(1000), [])
    assert.equal(faults.length, 1)
  })

  promised('ranges tell what each partition holds', async (trial) => {
    const offsets = await trial.fill(
      0,
      Array.from({ length: 10 }, (_, seed) => bytesOf(seed, 100)),
    )
    const [kept, last] = [offsets[4] ?? NaN, offsets[9] ?? NaN]
    const full = await trial.log.ranges([0, 9])
    assert.deepEqual([full.size, full.get(9)], [2, { first: 0, next: 0 }])
    const range = full.get(0) ?? assert.fail('partition 0 is missing')
    assert(range.first <= (offsets[0] ?? NaN) && range.next > last)
    await trial.fixture.truncate(trial.log, 0, kept)
    const cut = (await trial.log.ranges([0])).get(0)
    assert.deepEqual(cut, { first: kept, next: range.next })
  })
}

function describeReopening(promised: Promised): void {
  promised('a log opened again has the same records, times and identity', async (trial) => {
    const { identity } = trial.log
    const offsets = await trial.fill(
      8,
      Array.from({ length: 20 }, (_, seed) => bytesOf(seed, 2000)),
    )
    const before = await readExactly(await trial.reader([[8, 0]]), 20)
    await sleep(5) // A time taken at opening would be another one.
    await trial.reopen()
    assert.equal(trial.log.identity, identity)
    const after = await readExactly(await trial.reader([[8, 0]]), 20)
    assert.deepEqual(after, before)
    const next = await trial.log.append(8, bytesOf(20, 10))
    assert(next > (offsets.at(-1) ?? NaN))
  })

  promised('a log made anew under the same name has another identity', async (trial) => {
    const { identity } = trial.log
    await trial.fill(0, [bytesOf(0, 10)])
    await trial.close()
    await trial.fixture.recreate()
    await trial.reopen()
    assert.notEqual(trial.log.identity, identity)
    assert.deepEqual(await (await trial.reader([[0, 0]])).read(1000), [])
    assert.deepEqual((await trial.log.ranges([0])).get(0), { first: 0, next: 0 })
  })

  promised('what is not released stays, here and after opening again', async (trial) => {
    const records = Array.from({ length: 10 }, (_, seed) => bytesOf(seed, 100))
    const offsets = await trial.fill(0, records)
    const others = await trial.fill(1, records)
    const kept = offsets[6] ?? NaN
    const next = (await trial.log.ranges([0])).get(0)?.next
    await trial.log.release(new Map([[0, kept]]))
    await trial.log.release(new Map([[0, offsets[2] ?? NaN]]))
    await trial.log.release(new Map())
    const positions: [number, Offset][] = [
      [0, kept],
      [1, 0],
    ]
    const read = await readExactly(await trial.reader(positions), 14)
    await trial.reopen()
    const again = await readExactly(await trial.reader(positions), 14)
    for (const all of [read, again]) {
      assert.deepEqual([offsetsOf(all, 0), offsetsOf(all, 1)], [offsets.slice(6), others])
    }
    assert.equal((await trial.log.ranges([0])).get(0)?.next, next)
  })
}

function describeClosing(promised: Promised): void {
  promised('closing waits for the appends under way', async (trial) => {
    const appends = trial.fill(
      0,
      Array.from({ length: 50 }, (_, seed) => bytesOf(seed, 3000)),
    )
    let settled = false
    void appends.then(() => (settled = true))
    await trial.close()
    await setImmediate() // Lets callbacks of promises that are settled by now run.
    assert.equal(settled, true)
    await trial.reopen()
    const records = await readExactly(await trial.reader([[0, 0]]), 50)
    assert.deepEqual(offsetsOf(records, 0), await appends)
  })

  promised('an append is refused once closing has begun', async (trial) => {
    const stopping = (error: unknown): boolean =>
      error instanceof LedgerError && error.code === 'STOPPING'
    const closing = trial.close()
    await assert.rejects(trial.log.append(0, bytesOf(0, 10)), stopping)
    await closing
    await assert.rejects(trial.log.append(0, bytesOf(0, 10)), stopping)
  })
}
