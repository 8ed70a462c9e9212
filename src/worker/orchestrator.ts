// The main-thread side of the workers: which partitions this process has, and which worker works on
// each.
// In:  the log, a membership, the databases.
// Out: running workers; progress as metrics; reasons why this process is not ready.
// Absent: record bytes, SQL, HTTP.

import { setTimeout as delay } from 'node:timers/promises'
import { LedgerError, messageOf, reactionTo, type ErrorCode } from '../errors.ts'
import type { Log, Membership } from '../log/log.ts'
import { metrics } from '../observe/metrics.ts'
import type { LogFormat, Logger } from '../observe/logger.ts'
import { databaseOfWorker, distribute, type Layout } from './distribute.ts'
import { LagMeter, type Lag } from './lag.ts'
import type { FromWorker, Progress } from './protocol.ts'
import { Slot, type SlotEvents } from './slot.ts'

export interface OrchestratorOptions {
  log: Log
  membership: Membership
  databaseUrls: readonly string[]
  layout: Layout
  /** Recorded in ledger.checkpoints beside what this process holds. */
  owner: string
  /**
   * Whether a partition lost to another process is claimed again while the membership still assigns
   * it.
   */
  reclaims: boolean
  logger: Logger
  logLevel: string
  logFormat: LogFormat
  crashAt: string | undefined
  /** Rows a second of a bucket from which its key is built afterwards; Infinity for never. */
  openLeafRate: number
  /** Told how far PostgreSQL is, at every commit. */
  onCommitted: (partition: number, nextOffset: number) => void
  /** The configuration cannot work: the process must end. */
  onFatal: (error: LedgerError) => void
}

const lagIntervalMs = 1000
const reclaimLeastMs = 2000
const reclaimMostMs = 30_000

export class Orchestrator {
  private readonly options: OrchestratorOptions
  private readonly slots: Slot[]
  private readonly lagMeter = new LagMeter()
  /** The worker of each partition this process works on. */
  private readonly workerOf = new Map<number, number>()
  /** Why a partition that should be worked on is not. */
  private readonly halted = new Map<number, string>()
  private readonly databaseReasons = new Map<number, string>()
  private assigned: readonly number[] | undefined
  private readonly claimed = new Set<number>()
  private reclaimDelayMs = reclaimLeastMs
  private isReclaiming = false
  private deaths = 0
  private notOurLog: string | undefined
  private readonly stopped = new AbortController()
  private lags = new Map<number, Lag>()
  private lagTimer: NodeJS.Timeout | undefined
  private readonly whenClaimed: (() => void)[] = []

  constructor(options: OrchestratorOptions) {
    this.options = options
    const { log, layout, databaseUrls, logger, owner, logLevel, logFormat, crashAt } = options
    const { openLeafRate } = options
    const events = this.slotEvents()
    this.slots = Array.from({ length: layout.workers }, (_, worker) => {
      const databaseUrl = databaseUrls[databaseOfWorker(worker, layout)]
      const { buckets } = layout
      const logIdentity = log.identity
      const common = { owner, logIdentity, logger, logLevel, logFormat, crashAt, openLeafRate }
      return new Slot({ worker, databaseUrl, buckets, ...common }, log, events)
    })
  }

  async start(): Promise<void> {
    await Promise.all(this.slots.map((slot) => slot.start()))
    await this.options.membership.start((partitions) => {
      this.take(partitions)
    })
    this.lagTimer = setInterval(() => void this.measureLag(), lagIntervalMs)
  }

  /**
   * Resolves once every partition assigned so far is claimed or halted, or when the signal is
   * aborted.
   */
  async settled(signal: AbortSignal): Promise<void> {
    signal.addEventListener('abort', () => {
      this.notify()
    })
    while (!signal.aborted && (this.waiting() > 0 || this.assigned === undefined)) {
      await new Promise<void>((resolve) => this.whenClaimed.push(resolve))
    }
  }

  /** What keeps this process from persisting, in sentences. */
  reasons(): string[] {
    const reasons = [...new Set(this.databaseReasons.values())]
    for (const [partition, reason] of this.halted) {
      reasons.push(`partition ${partition} is halted: ${reason}`)
    }
    const waiting = this.waiting()
    if (this.assigned === undefined) reasons.push('no partitions have been assigned yet')
    else if (waiting > 0) reasons.push(`${waiting} partitions are not claimed yet`)
    return reasons
  }

  /**
   * Why the log is not the one, or not all of the one, that the checkpoints were made with: what is
   * appended to it now could be taken for applied one day.
   */
  get logDoubt(): string | undefined {
    return this.notOurLog
  }

  /** Partitions this process works on; none that is halted, since its checkpoint is in doubt. */
  get partitions(): number[] {
    return [...this.workerOf.keys()].filter((partition) => !this.halted.has(partition))
  }

  /**
   * Records not persisted yet, over all partitions of this process; as measured at most a second
   * ago.
   */
  get lagRecords(): number {
    return [...this.lags.values()].reduce((sum, { records }) => sum + records, 0)
  }

  /** Age of the oldest record not persisted yet. */
  get lagSeconds(): number {
    return Math.max(0, ...[...this.lags.values()].map(({ seconds }) => seconds))
  }

  /**
   * Resolves when all partitions that are not halted are persisted, or when the signal is aborted.
   */
  async drain(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.measureLag()
      const behind = [...this.lags].filter(([partition]) => !this.halted.has(partition))
      if (behind.every(([, { records }]) => records === 0)) return
      await delay(20, undefined, { signal }).catch(() => undefined)
    }
  }

  /** Leaves the membership, applies what the workers have been handed, and ends them. */
  async stop(signal: AbortSignal): Promise<void> {
    clearInterval(this.lagTimer)
    this.stopped.abort()
    await Promise.all(this.slots.map((slot) => slot.stop(signal)))
    await this.options.membership.stop()
  }

  private waiting(): number {
    const missing = (partition: number): boolean =>
      !this.claimed.has(partition) && !this.halted.has(partition)
    return this.assigned?.filter(missing).length ?? 0
  }

  private notify(): void {
    for (const resolve of this.whenClaimed.splice(0)) resolve()
  }

  /** Makes the workers work on exactly these partitions. */
  private take(partitions: readonly number[]): void {
    if (this.stopped.signal.aborted) return
    const { logger, layout } = this.options
    logger.info({ partitions: partitions.length }, 'partitions assigned')
    this.assigned = partitions
    this.reclaimDelayMs = reclaimLeastMs
    for (const partition of [...this.halted.keys()]) {
      if (!partitions.includes(partition)) this.halted.delete(partition)
    }
    const shares = distribute(partitions, layout)
    for (const slot of this.slots) {
      const share = new Set(shares[slot.worker])
      const had = [...this.workerOf].filter(([, worker]) => worker === slot.worker)
      const lost = had.map(([partition]) => partition).filter((partition) => !share.has(partition))
      if (lost.length > 0) {
        this.drop(lost)
        slot.send({ kind: 'revoke', partitions: lost })
        slot.forget(lost)
      }
    }
    for (const slot of this.slots) this.claim(slot, shares[slot.worker])
    this.notify()
  }

  private claim(slot: Slot, partitions: readonly number[]): void {
    const wanted = partitions.filter((partition) => this.workerOf.get(partition) !== slot.worker)
    if (wanted.length === 0) return
    for (const partition of wanted) {
      this.workerOf.set(partition, slot.worker)
      this.halted.delete(partition)
    }
    slot.send({ kind: 'assign', partitions: wanted })
  }

  private drop(partitions: readonly number[]): void {
    for (const partition of partitions) {
      this.workerOf.delete(partition)
      this.claimed.delete(partition)
      this.lagMeter.end(partition)
      metrics.lagRecords.remove({ partition })
      metrics.lagSeconds.remove({ partition })
    }
  }

  private slotEvents(): SlotEvents {
    return {
      message: (slot, message) => {
        this.receive(slot, message)
      },
      fault: (slot, partition, error) => {
        if (this.workerOf.get(partition) !== slot.worker) return
        this.halt([partition], error.code, error.message)
      },
      received: (partition, offset, timestamp) => {
        this.lagMeter.received(partition, offset, timestamp)
      },
      died: (slot, error) => void this.replace(slot, error),
    }
  }

  private receive(slot: Slot, message: FromWorker): void {
    switch (message.kind) {
      case 'read-from': {
        const isOurs = ({ partition }: { partition: number }): boolean =>
          this.workerOf.get(partition) === slot.worker && !this.halted.has(partition)
        const positions = message.positions.filter(isOurs)
        for (const { partition, offset } of positions) {
          this.claimed.add(partition)
          this.lagMeter.begin(partition, offset)
        }
        slot.readFrom(positions)
        this.notify()
        break
      }
      case 'progress':
        this.deaths = 0
        slot.release(message.ringEnd)
        this.count(message)
        break
      case 'confirmed':
        for (let i = 0; i < message.positions.length; i += 2) {
          const [partition, offset] = message.positions.subarray(i, i + 2)
          this.advance(partition, offset, undefined)
        }
        break
      case 'released':
        slot.release(message.ringEnd)
        break
      case 'fenced':
        this.lose(slot, message.partitions, message.reason)
        break
      case 'halted': {
        const ours = message.partitions.filter((one) => this.workerOf.get(one) === slot.worker)
        slot.forget(ours)
        this.halt(ours, message.code, message.reason)
        break
      }
      case 'leaves':
        metrics.openLeaves.set({ worker: slot.worker }, message.open)
        metrics.failedSeals.inc(message.failedSeals)
        break
      case 'database':
        this.noteDatabase(slot, message.reason)
        break
      case 'fatal':
        this.options.onFatal(new LedgerError(message.code, message.reason))
    }
  }

  private count(progress: Progress): void {
    metrics.persisted.inc(progress.inserted)
    metrics.duplicates.inc(progress.duplicates)
    metrics.conflicts.inc(progress.conflicts)
    metrics.held.inc(progress.held)
    metrics.quarantined.inc(progress.quarantined)
    metrics.mergedBuckets.inc(progress.mergedBuckets)
    metrics.flushes.inc()
    metrics.flushRows.observe(progress.rows)
    metrics.flushSeconds.observe(progress.seconds)
    for (let i = 0; i < progress.positions.length; i += 3) {
      const [partition, offset, timestamp] = progress.positions.subarray(i, i + 3)
      this.advance(partition, offset, timestamp)
    }
  }

  private advance(partition: number, offset: number, timestamp: number | undefined): void {
    this.lagMeter.committed(partition, offset, timestamp)
    this.options.onCommitted(partition, offset)
  }

  private halt(partitions: readonly number[], code: ErrorCode, reason: string): void {
    if (code === 'OFFSET_BEYOND_END' || code === 'LOG_IDENTITY_CHANGED') {
      this.notOurLog = reason
    }
    this.options.logger.error({ partitions, reason }, 'partitions halted: an operator must act')
    for (const partition of partitions) this.halted.set(partition, reason)
    this.notify()
  }

  /** Another process has these partitions now: this one has stopped writing them. */
  private lose(slot: Slot, partitions: readonly number[], reason: string): void {
    metrics.fenced.inc(partitions.length)
    this.options.logger.error({ partitions, reason }, 'fenced: stopped writing partitions')
    // Some may have been given up already, because the membership took them away meanwhile.
    const lost = partitions.filter((partition) => this.workerOf.get(partition) === slot.worker)
    if (lost.length === 0) return
    this.drop(lost)
    slot.forget(lost)
    if (this.options.reclaims) void this.reclaim()
    else for (const partition of lost) this.halted.set(partition, reason)
  }

  /**
   * Claims what the membership assigns and another process has taken, unless it is told otherwise
   * first; once for all that is taken meanwhile.
   */
  private async reclaim(): Promise<void> {
    if (this.isReclaiming) return
    this.isReclaiming = true
    const wait = this.reclaimDelayMs * (0.75 + Math.random() / 2)
    this.reclaimDelayMs = Math.min(reclaimMostMs, this.reclaimDelayMs * 2)
    const { signal } = this.stopped
    const aborted = await delay(wait, false, { signal }).catch(() => true)
    this.isReclaiming = false
    if (aborted || this.assigned === undefined) return
    const shares = distribute(this.assigned, this.options.layout)
    for (const slot of this.slots) this.claim(slot, shares[slot.worker])
  }

  private noteDatabase(slot: Slot, reason: string | undefined): void {
    const { logger } = this.options
    if (reason === undefined) {
      this.databaseReasons.delete(slot.worker)
      logger.info({ worker: slot.worker }, 'database is back')
    } else {
      this.databaseReasons.set(slot.worker, reason)
      logger.warn({ worker: slot.worker, reason }, 'database unavailable, retrying')
    }
  }

  private async replace(slot: Slot, error: unknown): Promise<void> {
    const stack = error instanceof Error ? error.stack : messageOf(error)
    this.options.logger.error({ worker: slot.worker, stack }, 'worker thread died, replacing it')
    const wait = Math.min(5000, 100 * 2 ** Math.min(this.deaths++, 6))
    const { signal } = this.stopped
    const aborted = await delay(wait, false, { signal }).catch(() => true)
    if (aborted) return
    const had = [...this.workerOf].filter(([, worker]) => worker === slot.worker)
    const partitions = had.map(([partition]) => partition)
    this.drop(partitions)
    metrics.openLeaves.set({ worker: slot.worker }, 0)
    slot.restartThread()
    this.claim(slot, partitions)
  }

  private async measureLag(): Promise<void> {
    metrics.haltedPartitions.set(this.halted.size)
    try {
      const ranges = await this.options.log.ranges([...this.lagMeter.positions.keys()])
      this.lags = this.lagMeter.measure(ranges, Date.now())
    } catch (error) {
      if (reactionTo(error) === undefined) throw error
      return
    }
    for (const [partition, { records, seconds }] of this.lags) {
      metrics.lagRecords.set({ partition }, records)
      metrics.lagSeconds.set({ partition }, seconds)
    }
  }
}
