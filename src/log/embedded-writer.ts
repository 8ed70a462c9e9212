// The one writer of the embedded log: gathers what is to be written into transactions, one at a
// time.
// In:  appends and releases, in any number at once.
// Out: offsets, each once its record is on disk; refusals when the disk budget is used up.
// Absent: lmdb (embedded-store.ts), reading.

import assert from 'node:assert/strict'
import { setImmediate } from 'node:timers/promises'
import { LedgerError, messageOf } from '../errors.ts'
import { slabBytes } from '../limits.ts'
import { crashPoint } from '../testing/crash.ts'
import type { Logger } from '../observe/logger.ts'
import type { EmbeddedRecords } from './embedded-records.ts'
import type { EmbeddedStore, RecordKey, StoreTransaction, StoreUsage } from './embedded-store.ts'
import { ValueEncoder } from './embedded-value.ts'
import type { Offset } from './log.ts'

/** Most that one transaction writes; what waits beyond that goes into the next one. */
const transactionBytesMax = 32 << 20

/**
 * Most records one transaction removes, at about 1 µs each, so that appends hardly wait for them.
 */
const removalsMax = 1024

/** After a failed transaction the disk is tried again so often, whether anybody appends or not. */
const retryMs = 1000

/**
 * A file may grow past the budget where free space in it is too scattered for the records that
 * come.
 */
const fileMarginBytes = 64 << 20

interface Waiting {
  partition: number
  value: Buffer
  diskBytes: number
  resolve(offset: Offset): void
  reject(error: unknown): void
}

interface Release {
  resolve(): void
  reject(error: unknown): void
}

export class EmbeddedWriter {
  private readonly store: EmbeddedStore
  private readonly records: EmbeddedRecords
  private readonly diskBytesMax: number
  private readonly logger: Logger | undefined
  private readonly encoder = new ValueEncoder()
  private waiting: Waiting[] = []
  private releases: Release[] = []
  /** Released records that are still on disk. */
  private removable = 0
  /** What the appends that wait or are under way will take at most. */
  private reservedBytes = 0
  private usage: StoreUsage
  private running: Promise<void> | undefined
  private trouble: LedgerError | undefined
  private retry: NodeJS.Timeout | undefined
  private isClosing = false

  constructor(
    store: EmbeddedStore,
    records: EmbeddedRecords,
    diskBytesMax: number,
    logger: Logger | undefined,
  ) {
    this.store = store
    this.records = records
    this.diskBytesMax = diskBytesMax
    this.logger = logger
    this.usage = store.usage()
  }

  append(partition: number, bytes: Uint8Array, timestamp = Date.now()): Promise<Offset> {
    this.records.partition(partition)
    if (this.isClosing) {
      return Promise.reject(new LedgerError('STOPPING', 'The embedded log is closing.'))
    }
    const diskBytes = this.store.diskBytesOf(bytes.length)
    const refusal = this.refusal(diskBytes)
    if (refusal !== undefined) return Promise.reject(new LedgerError('LOG_FULL', refusal))
    this.reservedBytes += diskBytes
    const value = this.encoder.encode(timestamp, bytes)
    return new Promise((resolve, reject) => {
      this.waiting.push({ partition, value, diskBytes, resolve, reject })
      this.start()
    })
  }

  /**
   * Makes what lies below unreadable at once, and resolves when it is gone from disk. Rejects when
   * the disk could not be written; the writer goes on trying by itself.
   *
   * A position beyond the end was reached with records that this log has lost, in a copy restored
   * from before: it says nothing about those that stand under their offsets now.
   */
  release(positions: ReadonlyMap<number, Offset>): Promise<void> {
    for (const [number, position] of positions) {
      const partition = this.records.partition(number)
      if (position <= partition.first || position > partition.next) continue
      this.removable += position - partition.first
      partition.first = position
    }
    if (this.removable === 0 || this.isClosing) return Promise.resolve()
    return new Promise((resolve, reject) => {
      this.releases.push({ resolve, reject })
      this.start()
    })
  }

  unavailable(): string | undefined {
    return this.trouble?.message ?? this.refusal(this.store.diskBytesOf(slabBytes))
  }

  /** Finishes what has been asked for, and takes nothing more. */
  async close(): Promise<void> {
    this.isClosing = true
    await this.running
    clearTimeout(this.retry)
    assert.equal(this.waiting.length, 0)
    this.settleReleases()
  }

  private refusal(diskBytes: number): string | undefined {
    const { liveBytes, fileBytes } = this.usage
    const wanted = liveBytes + this.reservedBytes + diskBytes
    const fileBytesMax = fileBytesMaxOf(this.diskBytesMax)
    if (wanted > this.diskBytesMax) {
      const held = `${liveBytes + this.reservedBytes} of ${this.diskBytesMax} bytes are taken`
      return `The embedded log's disk budget is used up: ${held}.`
    }
    if (fileBytes > fileBytesMax && wanted * 2 > this.diskBytesMax) {
      return `The embedded log's file has grown to ${fileBytes} of ${fileBytesMax} bytes.`
    }
    return undefined
  }

  private start(): void {
    this.running ??= this.run()
  }

  private async run(): Promise<void> {
    // Whatever is appended in this turn of the event loop shares the first transaction.
    await setImmediate()
    do {
      await this.transact()
    } while (this.waiting.length > 0 || (this.removable > 0 && this.trouble === undefined))
    this.running = undefined
  }

  private async transact(): Promise<void> {
    let appends: Waiting[] = []
    try {
      if (this.trouble !== undefined) await this.makeRoom()
      appends = this.takeWaiting()
      await this.commit(appends)
      this.recovered() // With nothing to append, the retry alone shows that the disk works again.
    } catch (error) {
      assert(error instanceof LedgerError, error instanceof Error ? error : String(error))
      this.failed(error, appends.length > 0 ? appends : this.takeWaiting())
    }
  }

  /**
   * What a transaction frees can be used only by the next but one, so a full disk is left behind in
   * small steps: remove, write as good as nothing, and only then append again.
   */
  private async makeRoom(): Promise<void> {
    await this.commit([])
    await this.commit([])
  }

  private async commit(appends: readonly Waiting[]): Promise<void> {
    const removals = this.takeRemovable()
    const transaction = this.numbered(appends, removals)
    if (removals.length > 0) crashPoint('before-trim')
    await this.store.commit(transaction)
    this.removable -= removals.length
    this.records.removed(removals)
    this.records.added(transaction.appends)
    this.usage = this.store.usage()
    if (appends.length > 0) this.recovered()
    appends.forEach((append, at) => {
      this.reservedBytes -= append.diskBytes
      append.resolve(transaction.appends[at]?.key.offset ?? NaN)
    })
    if (this.removable === 0) this.settleReleases()
  }

  /** Offsets are given out here, and kept only if the transaction succeeds: none is skipped. */
  private numbered(appends: readonly Waiting[], removals: readonly RecordKey[]): StoreTransaction {
    const marks = this.records.partitions.map((partition) => partition.next)
    const firstPlace = this.records.nextPlace
    const numbered = appends.map(({ partition, value }, at) => {
      const offset = marks[partition] ?? NaN
      marks[partition] = offset + 1
      return { key: { place: firstPlace + at, partition, offset }, value }
    })
    return { appends: numbered, removals, marks }
  }

  private takeWaiting(): Waiting[] {
    let [count, bytes] = [0, 0]
    for (const { value } of this.waiting) {
      if (count > 0 && bytes + value.length > transactionBytesMax) break
      bytes += value.length
      count += 1
    }
    const taken = this.waiting.slice(0, count)
    this.waiting = this.waiting.slice(count)
    return taken
  }

  private takeRemovable(): RecordKey[] {
    const keys: RecordKey[] = []
    if (this.removable === 0) return keys
    for (const partition of this.records.partitions) {
      for (let offset = partition.trimmed; offset < partition.first; offset += 1) {
        if (keys.length === removalsMax) return keys
        keys.push(partition.key(offset))
      }
    }
    return keys
  }

  private settleReleases(): void {
    for (const release of this.releases.splice(0)) release.resolve()
  }

  private recovered(): void {
    if (this.trouble === undefined) return
    this.trouble = undefined
    clearTimeout(this.retry)
    this.logger?.info('The embedded log can be written again.')
  }

  private failed(error: LedgerError, appends: readonly Waiting[]): void {
    if (this.trouble === undefined) this.logger?.error({ err: error }, messageOf(error))
    this.trouble = error
    for (const append of appends) {
      this.reservedBytes -= append.diskBytes
      append.reject(error)
    }
    for (const release of this.releases.splice(0)) release.reject(error)
    clearTimeout(this.retry)
    if (this.isClosing) return
    this.retry = setTimeout(() => this.start(), retryMs)
    this.retry.unref()
  }
}

/** Length the file may reach before records are refused that might make it longer. */
export function fileBytesMaxOf(diskBytesMax: number): number {
  return Math.ceil((diskBytesMax * 1.5) / fileMarginBytes + 1) * fileMarginBytes
}
