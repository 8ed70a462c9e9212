import assert from 'node:assert/strict'
import test from 'node:test'
import { encodeBatch, type Entry } from '../record/encode.ts'
import { bucketOf, partitionOf } from '../record/partition.ts'
import { copyHeaderBytes, rowBytes } from '../limits.ts'
import type { CopyRows } from '../ledger/flush.ts'
import { BucketKeys } from './bucket-keys.ts'
import { KeySet } from './key-set.ts'
import { RecentKeys } from './recent-keys.ts'
import { RowEncoder } from './rows.ts'

/** An account of a partition, found by trying; `n` tells several of one partition apart. */
function accountIn(partition: number, n = 0): Uint8Array {
  const account = new Uint8Array(16).fill(0x11)
  for (let i = 0, found = 0; ; i++) {
    new DataView(account.buffer).setUint32(8, i)
    if (partitionOf(new DataView(account.buffer), 0) === partition && found++ === n) return account
  }
}

function idOf(n: number): Uint8Array {
  const id = new Uint8Array(16).fill(0x22)
  new DataView(id.buffer).setUint32(12, n)
  return id
}

/** A ring that holds the given records one after the other, and where each begins and ends. */
function ringOf(...records: Uint8Array[]): { ring: SharedArrayBuffer; places: [number, number][] } {
  const ring = new SharedArrayBuffer(1 << 16)
  let at = 5 // Records begin anywhere.
  const places = records.map((record): [number, number] => {
    new Uint8Array(ring).set(record, at)
    at += record.length
    return [at - record.length, record.length]
  })
  return { ring, places }
}

const timestamp = Date.UTC(2000, 0, 1) + 1
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')

/** Amounts of the rows, in their order. */
function amounts({ copy, rows }: CopyRows): bigint[] {
  return Array.from({ length: rows }, (_, i) => {
    return Buffer.from(copy).readBigInt64BE(copyHeaderBytes + i * rowBytes + 46)
  })
}

function encoded(partition: number, ...entries: Entry[]): ReturnType<RowEncoder['finish']> {
  const { ring, places } = ringOf(encodeBatch(entries))
  const encoder = new RowEncoder(ring, 16)
  encoder.begin()
  assert.equal(encoder.add(partition, timestamp, ...places[0]), entries.length * 47)
  return encoder.finish()
}

test('a transaction becomes one binary COPY row', () => {
  const accountId = accountIn(3)
  const [bucket] = encoded(3, { id: idOf(1), accountId, amount: -2n })
  assert.equal(bucket.bucket, 3)
  assert.equal(bucket.rows, 1)
  assert.equal(
    hex(bucket.copy),
    '5047434f50590aff0d0a00' +
      '00000000' +
      '00000000' +
      '0004' +
      '00000010' +
      hex(accountId) +
      '00000010' +
      '22222222222222222222222200000001' +
      '00000008' +
      'fffffffffffffffe' +
      '00000008' +
      '00000000000003e8' +
      'ffff',
  )
})

test('times before and long after 2000 keep their microseconds', () => {
  for (const at of [0, Date.UTC(1999, 11, 31), Date.UTC(2026, 10, 23, 12, 0, 0, 123), 8e15]) {
    const { ring, places } = ringOf(
      encodeBatch([{ id: idOf(1), accountId: accountIn(3), amount: 1n }]),
    )
    const encoder = new RowEncoder(ring, 16)
    encoder.begin()
    encoder.add(3, at, ...places[0])
    const [{ copy }] = encoder.finish()
    const found = Buffer.from(copy).readBigInt64BE(copyHeaderBytes + rowBytes - 8)
    assert.equal(found, (BigInt(at) - BigInt(Date.UTC(2000, 0, 1))) * 1000n)
  }
})

test('rows are sorted by account, then id, and each bucket has its own COPY', () => {
  const [low, high] = [accountIn(3, 0), accountIn(3, 1)]
  const other = accountIn(4)
  const { ring, places } = ringOf(
    encodeBatch([
      { id: idOf(2), accountId: high, amount: 1n },
      { id: idOf(9), accountId: low, amount: 2n },
      { id: idOf(1), accountId: high, amount: 3n },
    ]),
    encodeBatch([{ id: idOf(1), accountId: other, amount: 4n }]),
    encodeBatch([{ id: idOf(1), accountId: low, amount: 5n }]),
  )
  const encoder = new RowEncoder(ring, 16)
  encoder.begin()
  encoder.add(3, timestamp, ...places[0])
  encoder.add(4, timestamp, ...places[1])
  encoder.add(3, timestamp, ...places[2])
  const summary = encoder.finish().map((rows) => ({ bucket: rows.bucket, amounts: amounts(rows) }))
  assert.deepEqual(summary, [
    { bucket: bucketOf(3, 16), amounts: [5n, 2n, 3n, 1n] },
    { bucket: bucketOf(4, 16), amounts: [4n] },
  ])
})

test('the same entry twice in a flush is one row', () => {
  const entry = { id: idOf(1), accountId: accountIn(3), amount: 7n }
  const [bucket] = encoded(3, entry, entry)
  assert.equal(bucket.rows, 1)
  assert.equal(bucket.doubtful.rows, 0)
})

test('the same key with another amount is doubtful, in log order, for the merge path to judge', () => {
  const key = { id: idOf(1), accountId: accountIn(3) }
  const entries = [9n, 1n, 9n].map((amount) => ({ ...key, amount }))
  const [bucket] = encoded(3, ...entries, { id: idOf(2), accountId: accountIn(3), amount: 4n })
  assert.deepEqual(amounts(bucket), [9n, 4n])
  assert.deepEqual(amounts(bucket.doubtful), [1n, 9n])
})

test('rows whose keys may be in the ledger are doubtful, each bucket with its own', () => {
  const [here, other] = [accountIn(3), accountIn(4)]
  const ids = [1, 2, 3]
  const { ring, places } = ringOf(
    encodeBatch(ids.map((n) => ({ id: idOf(n), accountId: here, amount: BigInt(n) }))),
    encodeBatch(ids.map((n) => ({ id: idOf(n), accountId: other, amount: BigInt(10 + n) }))),
  )
  const encoder = new RowEncoder(ring, 16)
  const keys = new Map(
    [3, 4].map((bucket) => {
      const known = new BucketKeys()
      known.newestMax = 2 ** 48
      known.recent = new RecentKeys(new KeySet(), 1)
      return [bucket, known]
    }),
  )
  const flush = (...records: [number, [number, number]][]): [bigint[], bigint[]][] => {
    encoder.begin()
    for (const [partition, place] of records) encoder.add(partition, timestamp, ...place)
    const buckets = encoder.finish((bucket) => keys.get(bucket))
    return buckets.map((bucket) => [amounts(bucket), amounts(bucket.doubtful)])
  }
  assert.deepEqual(flush([3, places[0]]), [[[1n, 2n, 3n], []]])
  assert.deepEqual(flush([3, places[0]], [4, places[1]]), [
    [[], [1n, 2n, 3n]],
    [[11n, 12n, 13n], []],
  ])
})

test('a record that cannot be decoded adds nothing', () => {
  const good = encodeBatch([{ id: idOf(1), accountId: accountIn(3), amount: 1n }])
  const elsewhere = encodeBatch([{ id: idOf(1), accountId: accountIn(5), amount: 1n }])
  const { ring, places } = ringOf(good.subarray(0, 40), elsewhere, good)
  const encoder = new RowEncoder(ring, 16)
  encoder.begin()
  assert.equal(typeof encoder.add(3, timestamp, ...places[0]), 'object')
  assert.equal(typeof encoder.add(3, timestamp, ...places[1]), 'object')
  assert.equal(encoder.count, 0)
  assert.equal(encoder.add(3, timestamp, ...places[2]), 47)
  assert.equal(encoder.finish()[0].rows, 1)
})

test('an empty record is a record without rows', () => {
  const { ring } = ringOf(new Uint8Array(0))
  const encoder = new RowEncoder(ring, 16)
  encoder.begin()
  assert.equal(encoder.add(3, timestamp, 5, 0), 0)
  assert.deepEqual(encoder.finish(), [])
})
