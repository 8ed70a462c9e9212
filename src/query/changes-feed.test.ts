import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Head, Window } from '../ledger/changes.ts'
import { feed } from './changes-feed.ts'
import { SharedReads } from './changes-reads.ts'
import { HeadWatch } from './changes-watch.ts'

/** A database that has forgotten what its heads say. */
const forgotten = (window: Window) =>
  Promise.resolve({ batches: [], moments: window.known, read: 0, isCut: false })

test('heads that PostgreSQL has forgotten do not keep a reader busy for ever', async () => {
  const heads = new Map<number, Head>([[3, { last: 2000, pause: undefined, origin: 0 }]])
  const watch = new HeadWatch({ look: () => Promise.resolve(heads), spent: () => 0 })
  const { signal } = new AbortController()
  const moments = new Map([[3, 1000]])
  const reads = new SharedReads(forgotten)
  for await (const step of feed({ watch, reads, buckets: 4, moments, until: heads, signal })) {
    assert.fail(step.kind)
  }
  assert.equal(moments.get(3), 1000)
})

test('a read that brought nobody further is not kept: what was forgotten may come again', async () => {
  let count = 0
  const reads = new SharedReads((window) => {
    count++
    return forgotten(window)
  })
  const window = { bucket: 3, known: new Map([[3, 1000]]), floor: 1000, ceiling: 2000, last: 2000 }
  await reads.read(window)
  await reads.read(window)
  assert.equal(count, 2)
})
