// What one reader of GET /v1/changes gets: batch after batch, and then as they are committed.
// In:  up to where it knows each partition; heads, shared reads.
// Out: batches, each with up to where its reader knows everything then.
// Absent: text (changes.ts).

import { setTimeout as delay } from 'node:timers/promises'
import { reactionTo } from '../errors.ts'
import { isProgress, nextWindow } from '../ledger/changes.ts'
import type { Batch, BucketChanges, ChangedRow, Window } from '../ledger/changes.ts'
import type { Moment } from '../ledger/moment.ts'
import { changesEventRowsMax } from '../limits.ts'
import { bucketOf } from '../record/partition.ts'
import type { SharedReads } from './changes-reads.ts'
import type { Heads, HeadWatch } from './changes-watch.ts'

export interface FeedOptions {
  watch: HeadWatch
  reads: SharedReads
  buckets: number
  /** Of the partitions that are followed; moved on with each step. */
  moments: Map<number, Moment>
  /** Ends where these heads are, instead of going on. */
  until?: Heads
  signal: AbortSignal
}

/**
 * `batch`: rows of a partition, after which `moments` are what its reader knows; `pause`: nothing
 * more is at hand; `quiet`: nothing was for a while.
 */
export type FeedStep = { kind: 'batch'; batch: Batch } | { kind: 'pause' } | { kind: 'quiet' }

const quietMs = 15_000
const retryMostMs = 5000

/** How far to look at first, in microseconds; then as far as brings as many rows as wanted. */
const firstSpan = 1_000_000
const wantedRows = 5000
const spanMax = 2 ** 52

export async function* feed(options: FeedOptions): AsyncGenerator<FeedStep> {
  const { watch, until, signal } = options
  const spans = new Map<number, number>()
  const buckets = byBucket(options.moments, options.buckets)
  let failures = 0
  while (!signal.aborted) {
    const { version } = watch
    let found = false
    try {
      for (const [bucket, partitions] of buckets) {
        if (signal.aborted) return
        const heads = until ?? watch.heads
        if (yield* bucketSteps(options, bucket, partitions, heads, spans)) found = true
      }
      failures = 0
    } catch (error) {
      if (reactionTo(error) !== 'retry') throw error
      await delay(Math.min(retryMostMs, 250 * 2 ** failures++), undefined, { signal }).catch(
        () => 0,
      )
      continue
    }
    if (found) continue
    if (until) return
    yield { kind: 'pause' }
    await watch.wait(version, quietMs, signal)
    if (version === watch.version) yield { kind: 'quiet' }
  }
}

/** One window of a bucket; false when there is nothing new in it. */
async function* bucketSteps(
  { reads, moments }: FeedOptions,
  bucket: number,
  partitions: readonly number[],
  heads: Heads,
  spans: Map<number, number>,
): AsyncGenerator<FeedStep, boolean> {
  const known = new Map(partitions.map((partition) => [partition, moments.get(partition) ?? 0]))
  const span = spans.get(bucket) ?? firstSpan
  const window = nextWindow(bucket, known, heads, span)
  if (!window) return false
  const changes = await reads.read(window)
  spans.set(bucket, nextSpan(span, window, changes))
  for (const { partition, rows } of changes.batches) {
    for (const piece of pieces(rows)) {
      moments.set(partition, piece[piece.length - 1].createdAt)
      yield { kind: 'batch', batch: { partition, rows: piece } }
    }
  }
  for (const [partition, moment] of changes.moments) moments.set(partition, moment)
  return isProgress(window, changes)
}

/** Rows come in bursts: a span too long is cut by its limit, one too short costs a read. */
function nextSpan(span: number, window: Window, changes: BucketChanges): number {
  const { moments, read, isCut } = changes
  if (isCut) return Math.max(1000, Math.min(span, Math.max(...moments.values()) - window.floor))
  if (window.ceiling >= window.last) return span
  const factor = Math.min(8, Math.max(1, wantedRows / Math.max(read, 1)))
  return Math.min(spanMax, Math.round(span * factor))
}

/** Rows in pieces of a bounded size, no record in two of them. */
function* pieces(rows: readonly ChangedRow[]): Generator<ChangedRow[]> {
  let from = 0
  let whole = 0
  for (let i = 1; i <= rows.length; i++) {
    if (i < rows.length && rows[i].createdAt === rows[i - 1].createdAt) continue
    if (i - from > changesEventRowsMax && whole > from) {
      yield rows.slice(from, whole)
      from = whole
    }
    whole = i
  }
  if (whole > from) yield rows.slice(from, whole)
}

function byBucket(moments: ReadonlyMap<number, Moment>, buckets: number): Map<number, number[]> {
  const result = new Map<number, number[]>()
  for (const partition of moments.keys()) {
    const bucket = bucketOf(partition, buckets)
    const partitions = result.get(bucket)
    if (partitions) partitions.push(partition)
    else result.set(bucket, [partition])
  }
  return result
}
