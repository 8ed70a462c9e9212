// Rows of a bucket as bytes, by partition and log record, in an order that depends on nothing else.
// In:  binary COPY of rows that end with created_at.
// Out: for each partition its groups, one for each created_at, ascending; their bytes.
// Absent: an object for a row, SQL.

/*
 * Row   => INT16 fields  (INT32 length, value)*          as COPY has it
 * Tuple => value*                                         what is kept, and hashed
 *
 * All rows of a log record share one created_at, and come as one group. Rows of a group are in the
 * order of their bytes. A flush writes them in that order, so looking is mostly all it takes.
 */

import assert from 'node:assert/strict'
import type { Moment } from '../moment.ts'
import { partitionCount } from '../../record/layout.ts'
import { partitionOf } from '../../record/partition.ts'

/** Bytes of each field: account_id first, created_at last. */
export type TupleShape = readonly number[]
export const rowShape: TupleShape = [16, 16, 8, 8]
export const conflictShape: TupleShape = [16, 16, 8, 8, 8]

/** Where the amount of either stands. */
export const amountAt = 32
/** Where a conflict has the amount that stands in the ledger. */
export const recordedAmountAt = 40

export interface Group {
  createdAt: Moment
  /** Its tuples are order[from..to). */
  from: number
  to: number
}

export interface TupleGroups {
  tuples: Tuples
  groups: readonly Group[]
}

const sum = (numbers: readonly number[]): number => numbers.reduce((a, b) => a + b, 0)

export function copyRowBytes(shape: TupleShape): number {
  return 2 + sum(shape) + 4 * shape.length
}

export class Tuples {
  readonly tupleBytes: number
  readonly #shape: TupleShape
  readonly #rowBytes: number
  #capacity = 0
  #words = new Int32Array(0)
  #view = new DataView(this.#words.buffer)
  readonly #scratch: Int32Array
  /** Group of each tuple, until they are in order. */
  #groupOf = new Uint32Array(0)
  #order = new Uint32Array(0)
  #moments = new Map<number, Map<Moment, number>>()
  #sizes: number[] = []
  /** The group of a partition that a row was added to last. */
  readonly #lastMoment = new Float64Array(partitionCount)
  readonly #lastGroup = new Uint32Array(partitionCount)
  #count = 0
  #groups = new Map<number, Group[]>()

  /** @param capacity rows it has room for */
  constructor(shape: TupleShape, capacity: number) {
    this.#shape = shape
    this.tupleBytes = sum(shape)
    this.#rowBytes = copyRowBytes(shape)
    this.#scratch = new Int32Array((scratchTuples * this.tupleBytes) / 4)
    this.resize(capacity)
  }

  get capacity(): number {
    return this.#capacity
  }

  /** Makes room for as many; what it holds is gone. */
  resize(capacity: number): void {
    this.clear()
    this.#capacity = capacity
    this.#words = new Int32Array((capacity * this.tupleBytes) / 4)
    this.#view = new DataView(this.#words.buffer)
    this.#groupOf = new Uint32Array(capacity)
    this.#order = new Uint32Array(capacity)
  }

  get count(): number {
    return this.#count
  }

  clear(): void {
    this.#count = 0
    this.#sizes = []
    this.#moments = new Map()
    this.#groups = new Map()
    this.#lastMoment.fill(NaN)
  }

  /** Takes whole COPY rows; false when they do not fit. */
  add(rows: Uint8Array): boolean {
    const { tupleBytes } = this
    const source = new DataView(rows.buffer, rows.byteOffset, rows.byteLength)
    for (let at = 0; at < rows.length; at += this.#rowBytes) {
      if (this.#count === this.#capacity) return false
      let word = (this.#count * tupleBytes) / 4
      let field = at + 2
      for (const bytes of this.#shape) {
        assert(source.getInt32(field) === bytes, 'no field is null')
        field += 4
        // Words are carried over as they are, whichever way round this machine has them.
        for (let end = field + bytes; field < end; field += 4) {
          this.#words[word++] = source.getInt32(field, true)
        }
      }
      const start = this.#count * tupleBytes
      const partition = partitionOf(this.#view, start)
      this.#groupOf[this.#count++] = this.#group(partition, this.#createdAt(start))
    }
    return true
  }

  /** To be called once all are added. */
  arrange(): void {
    const starts = new Uint32Array(this.#sizes.length)
    let at = 0
    for (const [partition, moments] of this.#moments) {
      const groups: Group[] = []
      for (const createdAt of Float64Array.from(moments.keys()).sort()) {
        const index = moments.get(createdAt) ?? 0
        starts[index] = at
        groups.push({ createdAt, from: at, to: (at += this.#sizes[index]) })
      }
      this.#groups.set(partition, groups)
    }
    for (let i = 0; i < this.#count; i++) this.#order[starts[this.#groupOf[i]]++] = i
    for (const groups of this.#groups.values()) {
      for (const group of groups) this.#sort(group)
    }
  }

  /** Groups of a partition with from < created_at <= to. */
  groupsOf(partition: number, from: Moment, to: Moment): Group[] {
    const groups = this.#groups.get(partition) ?? []
    return groups.filter(({ createdAt }) => createdAt > from && createdAt <= to)
  }

  /** The bytes of a group, a piece at a time; each is gone with the next. */
  *bytesOf({ from, to }: Group): Generator<Uint8Array> {
    const words = this.tupleBytes / 4
    for (let start = from; start < to; start += scratchTuples) {
      const end = Math.min(to, start + scratchTuples)
      let target = 0
      for (let i = start; i < end; i++) {
        const source = this.#order[i] * words
        for (let word = source; word < source + words; word++) {
          this.#scratch[target++] = this.#words[word]
        }
      }
      yield new Uint8Array(this.#scratch.buffer, 0, target * 4)
    }
  }

  /** One tuple of a group; valid until more is added. */
  tuple(index: number): Uint8Array {
    const { tupleBytes } = this
    return new Uint8Array(this.#words.buffer, this.#order[index] * tupleBytes, tupleBytes)
  }

  /** What the amounts of a group add up to. */
  sumOf({ from, to }: Group): bigint {
    let high = 0
    let low = 0
    for (let i = from; i < to; i++) {
      const at = this.#order[i] * this.tupleBytes + amountAt
      high += this.#view.getInt32(at)
      low += this.#view.getUint32(at + 4)
    }
    return BigInt(high) * 2n ** 32n + BigInt(low)
  }

  #createdAt(start: number): Moment {
    const at = start + this.tupleBytes - 8
    return this.#view.getInt32(at) * 2 ** 32 + this.#view.getUint32(at + 4)
  }

  #group(partition: number, createdAt: Moment): number {
    // Rows of a flush are sorted by account: a partition's are all over it, of few records.
    const last = this.#lastGroup[partition]
    if (this.#lastMoment[partition] === createdAt) {
      this.#sizes[last]++
      return last
    }
    let moments = this.#moments.get(partition)
    if (moments === undefined) {
      moments = new Map<Moment, number>()
      this.#moments.set(partition, moments)
    }
    let group = moments.get(createdAt)
    if (group === undefined) moments.set(createdAt, (group = this.#sizes.push(0) - 1))
    this.#lastMoment[partition] = createdAt
    this.#lastGroup[partition] = group
    this.#sizes[group]++
    return group
  }

  #sort({ from, to }: Group): void {
    for (let i = from + 1; i < to; i++) {
      if (this.#compare(this.#order[i - 1], this.#order[i]) <= 0) continue
      this.#order.subarray(from, to).sort((a, b) => this.#compare(a, b))
      return
    }
  }

  #compare(left: number, right: number): number {
    const { tupleBytes } = this
    const [a, b] = [left * tupleBytes, right * tupleBytes]
    for (let at = 0; at < tupleBytes; at += 4) {
      const difference = this.#view.getUint32(a + at) - this.#view.getUint32(b + at)
      if (difference !== 0) return difference
    }
    return 0
  }
}

/** Some 50 kB: enough for the hash to be at full speed. */
const scratchTuples = 1024
