// Coalesces requests into records, one slab a partition, and says when a request is durable.
// In:  the parsed transactions of a request.
// Out: records to the log; a promise a request, kept when every record with one of its entries is
//      durable.
// Absent: HTTP; promises, closures or objects per transaction.

/*
 * Records cost by the piece, in the log and again in the worker, and waiting costs latency. So a
 * record is cut
 *
 *   full    when the next entry does not fit into the slab;
 *   idle    at the end of a turn of the event loop, when the log has nothing under way and what
 *           waits is half of the requests that may be expected, or makes large records;
 *   miss    when they did not come for twice as long as the log took last;
 *   linger  lingerMs after the oldest waiting byte came, whatever is under way;
 *   stop    when the appender stops.
 *
 * The last four cut all partitions at once. Expected are as many requests as were in flight at
 * once since the cut before the last: clients that were answered send again. A lone request expects
 * nobody and waits for nothing but the log; many clients fill one record while the other is under
 * way; and requests that come at their own rate wait about as long as the log takes, so that a log
 * that is busy gets fewer and larger records by itself. Who was expected in vain is expected no
 * more. bench/append.mjs shows records and speed.
 *
 * While the backlog says to hold, all but `full` and `stop` wait for it, and records that are full
 * wait in line: they grow, and nothing is acknowledged meanwhile.
 */

import { setImmediate as endOfTurn } from 'node:timers'
import { LedgerError } from '../errors.ts'
import type { ByteBudget } from '../http/budget.ts'
import { slabBytes } from '../limits.ts'
import type { Log } from '../log/log.ts'
import { metrics } from '../observe/metrics.ts'
import type { RequestRecords } from '../receipt/receipt.ts'
import { entryBytes, partitionCount } from '../record/layout.ts'
import type { Backlog } from './backlog.ts'
import type { Batch } from '../batch/batch.ts'
import { Slab } from './slab.ts'
import { Waiter } from './waiter.ts'

/** A record this large costs little more by the piece than a full one does. */
const largeRecordBytes = slabBytes / 2

/** How many of the requests that are expected must wait for `idle` to cut. */
const expectedShare = 0.5

/** How long `miss` waits for them, in times that the log was busy with the records before. */
const patience = 2

/** Free slabs kept: as many as there are when every slab is full and replaced at once. */
const freeSlabsMax = partitionCount

export interface AppenderOptions {
  log: Log
  /** Longest time a byte waits before its record is cut. */
  lingerMs: number
  /** Bounds what waits and what is under way, together with the bodies that still arrive. */
  budget: ByteBudget
  /** Present where the workers share this process; absent, nothing is held. */
  backlog?: Backlog | undefined
}

/** A record that is cut, and belongs to the log from now on. */
interface CutRecord {
  partition: number
  slab: Slab
  bytes: Uint8Array
  waiters: readonly Waiter[]
}

export class Appender {
  private readonly log: Log
  private readonly lingerMs: number
  private readonly budget: ByteBudget
  private readonly backlog: Backlog | undefined
  /** Cut while the backlog says to hold, oldest first. */
  private held: CutRecord[] = []
  private readonly slabs: (Slab | undefined)[] = new Array<undefined>(partitionCount).fill(
    undefined,
  )
  private readonly free: Slab[] = []
  /** Partitions with an open record that has bytes. */
  private openRecords = 0
  private openBytes = 0
  /** Records appended and not settled. */
  private underWay = 0
  private bytes = 0
  /** Requests taken and not settled. */
  private requests = 0
  /** The most that `requests` was since the last cut of all, and from the one before until that. */
  private requestsPeak = 0
  private requestsExpected = 0
  /** When the last cut of all was, and how long the log was busy with it. */
  private cutAt = 0
  private busyMs = 0
  private missTimer: NodeJS.Timeout | undefined
  private lingerTimer: NodeJS.Timeout | undefined
  private isTurnAwaited = false
  private isStopping = false
  private onSettled: () => void = () => undefined
  private stopped: Promise<void> | undefined

  constructor({ log, lingerMs, budget, backlog }: AppenderOptions) {
    this.log = log
    this.lingerMs = lingerMs
    this.budget = budget
    this.backlog = backlog
    if (backlog) backlog.onRelease = () => this.resume()
  }

  /** Bytes of entries that wait or are under way. */
  get pendingBytes(): number {
    return this.bytes
  }

  /**
   * Takes a request whole and resolves when all of it is durable. Everything is copied before this
   * returns. Entries of one partition stand in the log in the order of the request, and requests in
   * the order of the calls.
   *
   * Rejects with STOPPING or OVERLOADED when nothing was taken, else with the error of the first
   * append that failed: then every entry may or may not be in the log.
   */
  add(batch: Batch): Promise<RequestRecords> {
    if (this.isStopping) {
      const message = 'This process is stopping and takes no more transactions.'
      return Promise.reject(new LedgerError('STOPPING', message))
    }
    const bytes = batch.count * entryBytes
    if (!this.budget.take(bytes)) {
      const message =
        `More than ${this.budget.limit} bytes of requests are under way. ` +
        'Nothing of this one was taken.'
      return Promise.reject(new LedgerError('OVERLOADED', message))
    }
    this.bytes += bytes
    this.openBytes += bytes
    this.requests += 1
    this.requestsPeak = Math.max(this.requestsPeak, this.requests)
    const waiter = new Waiter()
    this.copy(batch, waiter)
    this.schedule()
    return waiter.settled
  }

  /** Cuts what waits, takes nothing more, and resolves when nothing is under way. */
  stop(): Promise<void> {
    this.isStopping = true
    this.stopped ??= new Promise((resolve) => {
      this.onSettled = resolve
      this.sendHeld()
      this.cutAll()
      if (this.underWay === 0) resolve()
    })
    return this.stopped
  }

  private copy({ count, entries, partitions }: Batch, waiter: Waiter): void {
    const source = new DataView(entries.buffer, entries.byteOffset, entries.byteLength)
    for (let i = 0; i < count; i++) {
      const partition = partitions[i]
      let slab = this.slabs[partition]
      if (slab === undefined || slab.end + entryBytes > slabBytes) slab = this.replace(partition)
      if (slab.newest !== waiter) {
        if (slab.newest === undefined) this.openRecords += 1
        slab.newest = waiter
        slab.waiters.push(waiter)
        waiter.outstanding += 1
      }
      copyEntry(source, i * entryBytes, slab.view, slab.end)
      slab.end += entryBytes
    }
  }

  /** Another slab for a partition, its full one cut. */
  private replace(partition: number): Slab {
    this.cut(partition, Date.now())
    const slab = this.free.pop() ?? new Slab()
    this.slabs[partition] = slab
    return slab
  }

  private get isHolding(): boolean {
    return !this.isStopping && this.backlog?.isHolding === true
  }

  /** The backlog no longer says to hold. */
  private resume(): void {
    if (this.held.length === 0 && this.openRecords === 0) return
    this.sendHeld()
    this.schedule()
  }

  private sendHeld(): void {
    const held = this.held
    this.held = []
    const time = Date.now()
    for (const record of held) this.send(record, time)
  }

  private cutAll(): void {
    clearTimeout(this.lingerTimer)
    clearTimeout(this.missTimer)
    this.lingerTimer = undefined
    this.missTimer = undefined
    if (this.isHolding) return
    this.cutAt = performance.now()
    this.requestsExpected = this.requestsPeak
    this.requestsPeak = this.requests
    // The same for all of them: it is quicker, and receipts are shorter.
    const time = Date.now()
    for (let p = 0; p < partitionCount && this.openRecords > 0; p++) this.cut(p, time)
  }

  /** Nobody came who was expected. */
  private expire(): void {
    this.requestsPeak = this.requests
    this.cutAll()
  }

  private cut(partition: number, time: number): void {
    const slab = this.slabs[partition]
    if (slab === undefined || slab.openBytes === 0) return
    const { bytes, waiters } = slab.cut()
    if (slab.isRetired) this.slabs[partition] = undefined
    this.openRecords -= 1
    this.openBytes -= bytes.length
    this.underWay += 1
    const record = { partition, slab, bytes, waiters }
    // Behind one that is held, all are: the log must have them in order.
    if (this.held.length > 0 || this.isHolding) this.held.push(record)
    else this.send(record, time)
  }

  private send({ partition, slab, bytes, waiters }: CutRecord, time: number): void {
    this.log.append(partition, bytes, time).then(
      (offset) => {
        this.backlog?.add(partition, offset, bytes.length)
        metrics.appendedRecords.inc()
        metrics.appendedBytes.inc(bytes.length)
        for (const waiter of waiters) if (waiter.gain(partition, offset, time)) this.requests -= 1
        this.settle(slab, bytes.length)
      },
      (error: unknown) => {
        for (const waiter of waiters) if (waiter.lose(error)) this.requests -= 1
        this.settle(slab, bytes.length)
      },
    )
  }

  private settle(slab: Slab, bytes: number): void {
    this.bytes -= bytes
    this.budget.give(bytes)
    slab.underWay -= 1
    // From the start again where nothing is in the way: memory just used is in the cache.
    if (slab.underWay === 0 && slab.openBytes === 0) slab.end = slab.start = 0
    if (slab.isRetired && slab.underWay === 0) {
      slab.reset()
      if (this.free.length < freeSlabsMax) this.free.push(slab)
    }
    this.underWay -= 1
    if (this.underWay > 0) return
    this.busyMs = performance.now() - this.cutAt
    this.onSettled()
    this.schedule()
  }

  /** Sees to it that what waits is cut in time. */
  private schedule(): void {
    if (this.openRecords === 0 || this.isHolding) return
    this.lingerTimer ??= setTimeout(() => this.expire(), this.lingerMs)
    if (this.underWay > 0 || this.isTurnAwaited) return
    this.isTurnAwaited = true
    endOfTurn(() => {
      this.isTurnAwaited = false
      if (this.underWay > 0 || this.openRecords === 0) return
      if (this.areWorthCutting) this.cutAll()
      else this.missTimer ??= setTimeout(() => this.expire(), this.busyMs * patience)
    })
  }

  /** Asked while nothing is under way, so that every request in flight waits here. */
  private get areWorthCutting(): boolean {
    if (this.openBytes >= this.openRecords * largeRecordBytes) return true
    const expected = Math.max(this.requestsPeak, this.requestsExpected)
    return this.requests >= expected * expectedShare
  }
}

/** Copies one entry as words: 47 bytes are eleven times four and three. */
function copyEntry(source: DataView, from: number, target: DataView, to: number): void {
  for (let at = 0; at < 44; at += 4) target.setInt32(to + at, source.getInt32(from + at))
  target.setInt16(to + 44, source.getInt16(from + 44))
  target.setUint8(to + 46, source.getUint8(from + 46))
}
