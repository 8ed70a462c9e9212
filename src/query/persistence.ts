// Waits until every record of a receipt is in the tables.
// In:  receipts, how long their clients are ready to wait.
// Out: whether all of it is persisted, once it is or the time is over.
// Absent: SQL, HTTP, a query for each of those who wait (watch.ts asks for all).

import { LedgerError } from '../errors.ts'
import { progressOf, type Progress } from '../ledger/progress.ts'
import type { ReadDatabase, ReadDatabases } from '../ledger/read-databases.ts'
import { settleWaitersMax } from '../limits.ts'
import { metrics } from '../observe/metrics.ts'
import type { PartitionRecords, Receipt } from '../receipt/receipt.ts'
import { DatabaseWatch, type Watcher } from './watch.ts'

/**
 * - `persisted`: everything the receipt names is committed and visible.
 * - `pending`: the time is over, and so many partitions are not there yet.
 * - `foreign`: the tables follow another log, and never will get there.
 * - `gone`: the client went away.
 */
export type Verdict =
  { kind: 'persisted' | 'foreign' | 'gone' } | { kind: 'pending'; partitions: number }

export class Persistence {
  readonly #databases: ReadDatabases
  /** By database. */
  readonly #watches = new Map<number, DatabaseWatch>()
  readonly #waits = new Set<Wait>()
  #places = 0
  #isEnding = false

  constructor(databases: ReadDatabases) {
    this.#databases = databases
  }

  /**
   * Takes one of the places for those who wait; returns how to leave it, which is to be called
   * once.
   *
   * @throws LedgerError OVERLOADED
   */
  enter(): () => void {
    if (this.#places >= settleWaitersMax) {
      const message = `${settleWaitersMax} requests wait to be persisted already.`
      throw new LedgerError('OVERLOADED', message)
    }
    this.#setPlaces(this.#places + 1)
    return () => this.#setPlaces(this.#places - 1)
  }

  /**
   * Looks at least once, however short the time. Rejects with DATABASE_UNAVAILABLE when the time is
   * over and the last look failed.
   */
  async wait(receipt: Receipt, waitMs: number, signal: AbortSignal): Promise<Verdict> {
    const find = await this.#databases.finder()
    if (signal.aborted) return { kind: 'gone' }
    const wait = new Wait(receipt, this.#stretches(receipt, find))
    const timer = setTimeout(() => wait.expire(), this.#isEnding ? 0 : waitMs)
    const abort = (): void => wait.settle({ kind: 'gone' })
    signal.addEventListener('abort', abort, { once: true })
    this.#waits.add(wait)
    try {
      return await wait.begin()
    } finally {
      this.#waits.delete(wait)
      clearTimeout(timer)
      signal.removeEventListener('abort', abort)
    }
  }

  /** Ends all waits after their next look, and lets none last from now on. */
  end(): void {
    this.#isEnding = true
    for (const wait of this.#waits) wait.expire()
  }

  /** The records of a receipt, by the database that has their partitions. */
  #stretches(receipt: Receipt, find: (partition: number) => ReadDatabase): Stretch[] {
    const byWatch = new Map<DatabaseWatch, [number, PartitionRecords][]>()
    for (const entry of receipt.records) {
      const watch = this.#watchOf(find(entry[0]))
      const own = byWatch.get(watch)
      if (own === undefined) byWatch.set(watch, [entry])
      else own.push(entry)
    }
    return [...byWatch].map(([watch, records]) => ({ watch, records, persisted: 0 }))
  }

  #watchOf(database: ReadDatabase): DatabaseWatch {
    const known = this.#watches.get(database.databaseIndex)
    if (known !== undefined) return known
    const watch = new DatabaseWatch(() => progressOf(database))
    this.#watches.set(database.databaseIndex, watch)
    return watch
  }

  #setPlaces(places: number): void {
    this.#places = places
    metrics.settleWaiters.set(places)
  }
}

/** What one database has of a receipt. */
interface Stretch {
  readonly watch: DatabaseWatch
  readonly records: readonly (readonly [partition: number, PartitionRecords])[]
  /** So many of the records, from the first on, were found persisted. */
  persisted: number
  /** What the last look found. */
  last?: Progress | LedgerError
}

class Wait {
  readonly #receipt: Receipt
  readonly #stretches: readonly Stretch[]
  readonly #watchers: { stretch: Stretch; watcher: Watcher }[] = []
  #isOver = false
  #resolve!: (verdict: Verdict) => void
  #reject!: (error: unknown) => void
  readonly #settled: Promise<Verdict>

  constructor(receipt: Receipt, stretches: readonly Stretch[]) {
    this.#receipt = receipt
    this.#stretches = stretches
    this.#settled = new Promise((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
    })
  }

  begin(): Promise<Verdict> {
    for (const stretch of this.#stretches) {
      const watcher = {
        found: (progress: Progress) => this.#found(stretch, progress),
        failed: (error: LedgerError) => this.#failed(stretch, error),
        broke: (error: unknown) => this.#fail(error),
      }
      this.#watchers.push({ stretch, watcher })
      stretch.watch.join(watcher)
    }
    return this.#settled
  }

  settle(verdict: Verdict): void {
    this.#leave()
    this.#resolve(verdict)
  }

  /** The time is over. */
  expire(): void {
    this.#isOver = true
    this.#answerIfOver()
  }

  #found(stretch: Stretch, progress: Progress): void {
    const isFirst = stretch.last === undefined || stretch.last instanceof LedgerError
    stretch.last = progress
    if (isFirst && this.#isForeign(stretch, progress)) {
      this.settle({ kind: 'foreign' })
      return
    }
    const { records } = stretch
    while (stretch.persisted < records.length) {
      const record = records[stretch.persisted]
      if (!isPersisted(progress, record)) break
      // A partition that nobody had begun may have been begun by another log's worker since.
      if (!this.#receipt.isOf(progress.logIdentities[record[0]] ?? '')) {
        this.settle({ kind: 'foreign' })
        return
      }
      stretch.persisted += 1
    }
    if (this.#stretches.every((one) => one.persisted === one.records.length)) {
      this.settle({ kind: 'persisted' })
    } else {
      this.#answerIfOver()
    }
  }

  #failed(stretch: Stretch, error: LedgerError): void {
    stretch.last = error
    this.#answerIfOver()
  }

  #fail(error: unknown): void {
    this.#leave()
    this.#reject(error)
  }

  #answerIfOver(): void {
    if (!this.#isOver) return
    let pending = 0
    for (const { last, records } of this.#stretches) {
      if (last === undefined) return
      if (last instanceof LedgerError) {
        this.#fail(last)
        return
      }
      pending += records.filter((record) => !isPersisted(last, record)).length
    }
    this.settle({ kind: 'pending', partitions: pending })
  }

  #isForeign({ records }: Stretch, { logIdentities }: Progress): boolean {
    return records.some(([partition]) => {
      const identity = logIdentities[partition]
      return identity !== undefined && !this.#receipt.isOf(identity)
    })
  }

  #leave(): void {
    for (const { stretch, watcher } of this.#watchers) stretch.watch.leave(watcher)
  }
}

export function isPersisted(
  { next }: Progress,
  [partition, { offset }]: readonly [number, PartitionRecords],
): boolean {
  return next[partition] > offset
}
