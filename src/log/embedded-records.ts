// What the embedded log holds on disk, as memory knows it: where each record is, and the newest of
// them whole.
// In:  what the writer has made durable or removed.
// Out: records by partition and offset; a signal when there are more.
// Absent: anything not on disk yet, so that no reader can see what a crash could take back.

import assert from 'node:assert/strict'
import type { EmbeddedStore, RecordKey } from './embedded-store.ts'
import { bytesOf, timestampOf } from './embedded-value.ts'
import type { LogRange, LogRecord, Offset } from './log.ts'

/**
 * Bytes of records kept in memory after they are written. A worker that keeps up reads them here
 * and never from lmdb, which costs 1 µs and a copy a record. Between reading and writing lie a few
 * milliseconds of records.
 */
const tailBytesMax = 32 << 20

/**
 * One partition: trimmed ≤ first ≤ next. Records from `trimmed` on are on disk; those from `first`
 * on can be read.
 */
export class Partition {
  readonly number: number
  trimmed: Offset = 0
  first: Offset = 0
  next: Offset = 0
  /** Places of the records from `trimmed` on, behind `head` entries that are no longer used. */
  private places: number[] = []
  private head = 0

  constructor(number: number) {
    this.number = number
  }

  place(offset: Offset): number {
    const place = this.places.at(this.head + offset - this.trimmed)
    assert(place !== undefined && offset >= this.trimmed && offset < this.next, 'offset on disk')
    return place
  }

  key(offset: Offset): RecordKey {
    return { partition: this.number, offset, place: this.place(offset) }
  }

  append(offset: Offset, place: number): void {
    assert(offset === this.next, 'offset of the next record')
    this.places.push(place)
    this.next += 1
  }

  trim(before: Offset): void {
    assert(before >= this.trimmed && before <= this.first && this.first <= this.next)
    this.head += before - this.trimmed
    this.trimmed = before
    if (this.head < 1024 || this.head * 2 < this.places.length) return
    this.places = this.places.slice(this.head)
    this.head = 0
  }

  /** An empty partition that goes on counting where it was. */
  startAt(next: Offset): void {
    assert.equal(this.places.length, 0)
    this.trimmed = this.first = this.next = next
  }
}

export class EmbeddedRecords {
  readonly partitions: readonly Partition[]
  /** Place of the next record to be written. */
  nextPlace = 0
  private readonly store: EmbeddedStore
  private readonly tail = new Map<number, Buffer>()
  private tailBytes = 0
  private tailFirstPlace = 0
  private readonly waiting = new Set<() => void>()

  constructor(store: EmbeddedStore) {
    this.store = store
    this.partitions = Array.from({ length: store.partitions }, (_, at) => new Partition(at))
  }

  /** Learns from disk where everything is. */
  load(): void {
    for (const { place, partition: number, offset } of this.store.keys()) {
      const partition = this.partition(number)
      if (partition.next === partition.trimmed) partition.startAt(offset)
      partition.append(offset, place)
      this.nextPlace = place + 1
    }
    this.tailFirstPlace = this.nextPlace
    for (const [number, mark] of this.store.marks().entries()) {
      const partition = this.partition(number)
      if (partition.next === partition.trimmed) partition.startAt(mark)
      assert.equal(partition.next, mark, `mark of partition ${number}`)
    }
  }

  partition(number: number): Partition {
    const partition = this.partitions[number] as Partition | undefined
    // The message is put together only when it is needed: this is asked for every record, and more.
    if (partition === undefined) assert.fail(`Partition ${number} of ${this.partitions.length}.`)
    return partition
  }

  range(number: number): LogRange {
    const { first, next } = this.partition(number)
    return { first, next }
  }

  isInMemory(number: number, offset: Offset): boolean {
    return this.tail.has(this.partition(number).place(offset))
  }

  /** Without a copy where it is in memory; the bytes must not be changed. */
  read(number: number, offset: Offset): LogRecord {
    const key = this.partition(number).key(offset)
    const value = this.tail.get(key.place) ?? this.store.read(key)
    if (value === undefined) assert.fail(`Record ${offset} of partition ${number} is on disk.`)
    return { partition: number, offset, timestamp: timestampOf(value), bytes: bytesOf(value) }
  }

  async prefetch(keys: readonly RecordKey[]): Promise<void> {
    await this.store.prefetch(keys)
  }

  /** Told by the writer that these are on disk. */
  added(appends: readonly { key: RecordKey; value: Buffer }[]): void {
    for (const { key, value } of appends) {
      this.partition(key.partition).append(key.offset, key.place)
      this.tail.set(key.place, value)
      this.tailBytes += value.length
      this.nextPlace = key.place + 1
    }
    this.forgetOldest()
    for (const wake of this.waiting) wake()
  }

  /** Told by the writer that these, the oldest of their partitions, are gone from disk. */
  removed(keys: readonly RecordKey[]): void {
    for (const key of keys) this.partition(key.partition).trim(key.offset + 1)
  }

  /**
   * Resolves when there are more records, when `signal` is aborted, or after so many milliseconds.
   */
  wait(milliseconds: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const wake = (): void => {
        clearTimeout(timer)
        this.waiting.delete(wake)
        signal.removeEventListener('abort', wake)
        resolve()
      }
      const timer = setTimeout(wake, milliseconds)
      this.waiting.add(wake)
      signal.addEventListener('abort', wake)
    })
  }

  private forgetOldest(): void {
    while (this.tailBytes > tailBytesMax) {
      const value = this.tail.get(this.tailFirstPlace)
      this.tail.delete(this.tailFirstPlace)
      this.tailFirstPlace += 1
      this.tailBytes -= value?.length ?? 0
    }
  }
}
