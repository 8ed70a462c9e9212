import assert from 'node:assert/strict'
import test from 'node:test'
import fc from 'fast-check'
import { databaseOf } from '../ledger/buckets.ts'
import { bucketOf } from '../record/partition.ts'
import { databaseOfWorker, distribute, type Layout } from './distribute.ts'

const layout = fc
  .record({ bits: fc.nat(7), databases: fc.integer({ min: 1, max: 8 }), extra: fc.nat(8) })
  .map(({ bits, databases, extra }): Layout => {
    const buckets = 2 ** bits
    const count = Math.min(databases, buckets)
    return { buckets, databases: count, workers: count + extra }
  })
const partitions = fc.uniqueArray(fc.nat(127), { maxLength: 128 })

test('each partition has exactly one worker, and that worker writes to its database', () => {
  fc.assert(
    fc.property(layout, partitions, (shape, assigned) => {
      const shares = distribute(assigned, shape)
      assert.deepEqual(shares.flat().sort(byNumber), [...assigned].sort(byNumber))
      shares.forEach((share, worker) => {
        for (const partition of share) {
          const bucket = bucketOf(partition, shape.buckets)
          assert.equal(databaseOf(bucket, shape), databaseOfWorker(worker, shape))
        }
      })
    }),
  )
})

test('two workers share sixteen buckets without sharing any one of them', () => {
  const all = Array.from({ length: 128 }, (_, partition) => partition)
  const [first, second] = distribute(all, { workers: 2, buckets: 16, databases: 1 })
  assert.equal(first.length, 64)
  assert.equal(second.length, 64)
  const firstBuckets = new Set(first.map((partition) => bucketOf(partition, 16)))
  assert.ok(second.every((partition) => !firstBuckets.has(bucketOf(partition, 16))))
})

function byNumber(a: number, b: number): number {
  return a - b
}
