// Decides when a worker's buckets get an open leaf and when it is sealed, and remembers the keys in
// between.
// In:  the rows of each flush; the partitions held.
// Out: leaves opened and sealed (ledger/open-leaves.ts has the proof this rests on); BucketKeys for
//      the encoder.
// Absent: flushes (applier.ts), which buckets a process has.

import { messageOf } from '../errors.ts'
import type { BucketRows } from '../ledger/flush.ts'
import { dayMilliseconds, restLeafTable } from '../ledger/leaves.ts'
import {
  openLeaf,
  openLeafTable,
  scansOf,
  sealBucket,
  sealLeaf,
  type HeldPartition,
  type IdSpan,
} from '../ledger/open-leaves.ts'
import { openLeafRows } from '../limits.ts'
import type { Logger } from '../observe/logger.ts'
import type { Connection } from '../postgres/connection.ts'
import { partitionCount } from '../record/layout.ts'
import { bucketOf } from '../record/partition.ts'
import { BucketKeys, type OpenLeaf, type ScanCount } from './bucket-keys.ts'
import { KeySet } from './key-set.ts'
import { RecentKeys } from './recent-keys.ts'
import { Sealer } from './sealer.ts'

export interface OpenBucketsOptions {
  databaseUrl: string
  worker: number
  buckets: number
  /** Rows a second of a bucket from which its key is built afterwards; Infinity for never. */
  rate: number
  logger: Logger
  /** Told when the number of open leaves changes, and of each seal that failed. */
  onLeaves(change: { open: number; failedSeals: number }): void
}

interface Bucket {
  keys: BucketKeys
  /** Rows since the rate was last measured. */
  rows: number
  /** Rows a second, smoothed. */
  rate: number
  /** How far beyond the newest id a leaf begins, so that the rest of the day has no row of it. */
  marginMs: number
  /** By performance.now(). */
  openNotBefore: number
  /** A seal that failed is not tried again before, by performance.now(). */
  sealNotBefore: number
  /** Up to here ids have leaves, in milliseconds since 1970 UTC. */
  coveredTo: number
  /** Of the rest of the day, when it was last looked at. */
  rest: ScanCount | undefined
}

const measureMs = 1000
const marginLeastMs = 1000
const marginMostMs = 60_000
/** A leaf is opened this long before its first id is due, and sealed this long after its last. */
const leadMs = 5000
const graceMs = 2000
const spanLeastMs = 10_000
const spanMostMs = 3_600_000
/** A bucket where something repeats keeps its keys in place for this long. */
const repeatRestMs = 60_000
/**
 * Looking something up in an open leaf means reading it all. So a bucket that is read opens none,
 * and an open leaf that is read more often than a lone reader does gets its key at once.
 */
const scansPerSecondMax = 1
const sealScansPerSecondMax = 10
const readRestMs = 300_000
const refusedRestMs = 2000
/**
 * PostgreSQL reads the whole rest of the day for an opening, while flushes wait: where that is
 * large, they must not wait for it often.
 */
const restPerOpening = 100
/** One that is filled, one that is being sealed: past that, sealing is too slow to open more. */
const leavesMax = 2
/** Each takes some milliseconds, and flushes wait. */
const openingsAtOnce = 4
const futureMs = 5000

export class OpenBuckets {
  private readonly options: OpenBucketsOptions
  private readonly buckets: Bucket[]
  private readonly sealer: Sealer
  private readonly spareSets: KeySet[] = []
  private measuredAt = performance.now()
  private doubtful = false

  constructor(options: OpenBucketsOptions) {
    this.options = options
    this.sealer = new Sealer(options)
    this.buckets = Array.from({ length: options.buckets }, () => ({
      keys: new BucketKeys(),
      rows: 0,
      rate: 0,
      marginMs: marginLeastMs,
      openNotBefore: 0,
      sealNotBefore: 0,
      coveredTo: 0,
      rest: undefined,
    }))
  }

  /** What the memory of open leaves says can no longer be relied on. */
  get isDoubtful(): boolean {
    return this.doubtful
  }

  /**
   * To be called before each flush is encoded. Where repetitions are expected, keys are remembered
   * beyond open leaves.
   */
  beginFlush(expectsRepeats: (bucket: number) => boolean): void {
    const newestMax = Date.now() + futureMs
    for (const [bucket, { keys }] of this.buckets.entries()) {
      keys.newestMax = newestMax
      if (expectsRepeats(bucket)) {
        keys.recent ??= new RecentKeys(this.spareSet(), keys.newest)
        keys.recent.beginFlush(keys.newest, () => this.spareSet())
      } else if (keys.recent !== undefined) {
        for (const set of keys.recent.sets) this.giveBack(set)
        keys.recent = undefined
      }
    }
  }

  /** For the encoder; nothing where nothing is to be remembered, so that no row is looked at. */
  keysOf(bucket: number): BucketKeys | undefined {
    const { keys } = this.buckets[bucket]
    return this.options.rate === Infinity && keys.recent === undefined ? undefined : keys
  }

  /** What was to be written may not be what is there: rows of a flush, or a leaf. */
  doubt(): void {
    this.doubtful = true
  }

  /** Seals every open leaf of a bucket, whoever opened it, and forgets it. */
  async seal(connection: Connection, bucket: number): Promise<void> {
    await sealBucket(connection, bucket)
    this.forgetAll(bucket)
  }

  /** Seals all that this worker may have opened, whether it remembers it or not. */
  async sealDoubtful(connection: Connection, held: readonly number[]): Promise<void> {
    const buckets = new Set(held.map((partition) => bucketOf(partition, this.options.buckets)))
    for (const bucket of buckets) await this.seal(connection, bucket)
    // Of the others nothing is written any more.
    for (const bucket of this.buckets.keys()) this.forgetAll(bucket)
    this.doubtful = false
  }

  /** Seals the buckets of a flush whose rows PostgreSQL has to look up itself. */
  async sealWhereNeeded(connection: Connection, flush: readonly BucketRows[]): Promise<void> {
    for (const rows of flush) {
      const { bucket, doubtful, isOpen } = rows
      if (!isOpen || !(doubtful.rows > 0 || this.buckets[bucket].keys.mustSeal)) continue
      this.options.logger.debug({ bucket, doubtful: doubtful.rows }, 'sealing before a flush')
      await this.seal(connection, bucket)
      rows.isOpen = false
    }
  }

  /**
   * Opens and seals what is due, after a flush is committed. `held` answers with the partitions
   * held among those it is asked for.
   */
  async turn(
    connection: Connection,
    flushed: readonly BucketRows[],
    held: (partitions: readonly number[]) => HeldPartition[],
  ): Promise<void> {
    if (this.options.rate === Infinity) return
    for (const { bucket, rows, doubtful } of flushed) {
      const state = this.buckets[bucket]
      state.rows += rows + doubtful.rows
      if (doubtful.rows > 0 || state.keys.recent) this.rest(bucket, repeatRestMs)
    }
    if (this.measure()) await this.sealWhatIsRead(connection)
    let openings = 0
    for (const [bucket, state] of this.buckets.entries()) {
      for (const leaf of state.keys.leaves) if (isDone(leaf, state)) this.sealLater(bucket, leaf)
      if (openings === openingsAtOnce || !this.wantsLeaf(state)) continue
      openings++
      await this.open(connection, bucket, held)
    }
  }

  /** Seals everything in the background: nothing is being written. */
  sealIdle(): void {
    for (const [bucket, { keys }] of this.buckets.entries()) {
      for (const leaf of keys.leaves) this.sealLater(bucket, leaf)
    }
  }

  /** Seals what is open, if the database answers, and ends. */
  async close(): Promise<void> {
    this.sealIdle()
    await this.sealer.close()
  }

  private wantsLeaf({ keys, rate, openNotBefore, coveredTo }: Bucket): boolean {
    if (rate < this.options.rate || performance.now() < openNotBefore) return false
    if (keys.newest === 0 || keys.leaves.length >= leavesMax) return false
    return keys.newest >= coveredTo - leadMs
  }

  private async open(
    connection: Connection,
    bucket: number,
    held: (partitions: readonly number[]) => HeldPartition[],
  ): Promise<void> {
    const { logger, buckets } = this.options
    const state = this.buckets[bucket]
    if (await this.isRead(connection, bucket)) return
    const span = nextSpan(state)
    const all = Array.from({ length: partitionCount }, (_, partition) => partition)
    const own = held(all.filter((partition) => bucketOf(partition, buckets) === bucket))
    const started = performance.now()
    const refused = await openLeaf(connection, bucket, span, own)
    this.rest(bucket, restPerOpening * (performance.now() - started))
    const table = openLeafTable(bucket, span)
    if (refused !== undefined) {
      logger.debug({ table, reason: refused }, 'leaf not opened')
      state.marginMs = Math.min(marginMostMs, state.marginMs * 2)
      this.rest(bucket, refusedRestMs)
      return
    }
    logger.debug({ table, seconds: (span.to - span.from) / 1000 }, 'leaf opened')
    state.marginMs = marginLeastMs
    state.coveredTo = span.to
    state.keys.leaves.push({ ...span, table, keys: this.spareSet(), openedAt: performance.now() })
    this.report()
  }

  /**
   * Whether the bucket is read too often to have open leaves, going by the rest of the day, in
   * which whoever looks for an account looks, since it was asked last.
   */
  private async isRead(connection: Connection, bucket: number): Promise<boolean> {
    const state = this.buckets[bucket]
    const day = Math.floor(state.keys.newest / dayMilliseconds) * dayMilliseconds
    const table = restLeafTable(bucket, day)
    const [scans] = await scansOf(connection, [table])
    const before = state.rest
    state.rest = { table, scans, at: performance.now() }
    if (before?.table !== table || rateSince(before, state.rest) <= scansPerSecondMax) return false
    this.options.logger.debug({ table, scans }, 'bucket is read: keys stay in place')
    this.rest(bucket, readRestMs)
    return true
  }

  private async sealWhatIsRead(connection: Connection): Promise<void> {
    const open = [...this.buckets.entries()].flatMap(([bucket, { keys }]) => {
      return keys.leaves.map((leaf) => ({ bucket, leaf }))
    })
    if (open.length === 0) return
    const tables = open.map(({ leaf }) => leaf.table)
    const scans = await scansOf(connection, tables)
    for (const [index, { bucket, leaf }] of open.entries()) {
      const now = { table: leaf.table, scans: scans[index], at: performance.now() }
      const rate = leaf.looked === undefined ? 0 : rateSince(leaf.looked, now)
      leaf.looked = now
      if (rate <= sealScansPerSecondMax) continue
      this.options.logger.debug({ table: leaf.table, rate }, 'open leaf is read: sealing it')
      this.sealLater(bucket, leaf)
      this.rest(bucket, readRestMs)
    }
  }

  private rest(bucket: number, milliseconds: number): void {
    const state = this.buckets[bucket]
    state.openNotBefore = Math.max(state.openNotBefore, performance.now() + milliseconds)
  }

  /** Until it is sealed its keys are still remembered, and rows that come late still find them. */
  private sealLater(bucket: number, leaf: OpenLeaf): void {
    const { logger } = this.options
    const state = this.buckets[bucket]
    if (performance.now() < state.sealNotBefore) return
    this.sealer.add(leaf.table, async (connection) => {
      const started = performance.now()
      try {
        await sealLeaf(connection, bucket, leaf.table)
      } catch (error) {
        state.sealNotBefore = performance.now() + refusedRestMs
        this.report(1)
        // Should this go on, the next claim of the bucket says so.
        logger.warn({ table: leaf.table, reason: messageOf(error) }, 'leaf not sealed yet')
        throw error
      }
      const seconds = (performance.now() - started) / 1000
      logger.debug({ table: leaf.table, rows: leaf.keys.size, seconds }, 'leaf sealed')
      this.forget(bucket, leaf)
    })
  }

  private forgetAll(bucket: number): void {
    const { keys } = this.buckets[bucket]
    for (const leaf of keys.leaves) this.forget(bucket, leaf)
    keys.mustSeal = false
  }

  private forget(bucket: number, leaf: OpenLeaf): void {
    const { keys } = this.buckets[bucket]
    if (!keys.leaves.includes(leaf)) return
    keys.leaves = keys.leaves.filter((one) => one !== leaf)
    this.giveBack(leaf.keys)
    this.report()
  }

  private report(failedSeals = 0): void {
    const open = this.buckets.reduce((sum, { keys }) => sum + keys.leaves.length, 0)
    this.options.onLeaves({ open, failedSeals })
  }

  private spareSet(): KeySet {
    return this.spareSets.pop() ?? new KeySet()
  }

  private giveBack(set: KeySet): void {
    set.clear()
    this.spareSets.push(set)
  }

  /** Once a second; false in between. */
  private measure(): boolean {
    const now = performance.now()
    const elapsed = now - this.measuredAt
    if (elapsed < measureMs) return false
    for (const state of this.buckets) {
      state.rate = (state.rate + (state.rows * 1000) / elapsed) / 2
      state.rows = 0
    }
    this.measuredAt = now
    return true
  }
}

/** Scans a second between two looks at a table. */
function rateSince(before: ScanCount, now: ScanCount): number {
  return ((now.scans - before.scans) * 1000) / Math.max(1, now.at - before.at)
}

/** Whether nearly all rows of a leaf have come, or it can take no more without its key. */
function isDone({ from, to, keys, openedAt }: OpenLeaf, { keys: { newest } }: Bucket): boolean {
  const overdue = performance.now() - openedAt > 2 * (to - from) + 30_000
  return newest >= to + graceMs || keys.isFull || overdue
}

/** Where the next leaf of a bucket begins and ends, in whole seconds of one day. */
function nextSpan({ keys, rate, marginMs, coveredTo }: Bucket): IdSpan {
  const ceilSecond = (time: number): number => Math.ceil(time / 1000) * 1000
  const from = Math.max(coveredTo, ceilSecond(keys.newest + marginMs))
  const isFirst = from > coveredTo
  // How much will come is known only after a first leaf.
  const wanted = isFirst ? 0 : ceilSecond((openLeafRows / rate) * 1000)
  const length = Math.min(spanMostMs, Math.max(spanLeastMs, wanted))
  const dayEnd = (Math.floor(from / dayMilliseconds) + 1) * dayMilliseconds
  return { from, to: Math.min(from + length, dayEnd) }
}
