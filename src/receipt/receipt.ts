// The receipt of a 202: which records of which log hold the request, signed so that nobody can make
// one up.
// In:  the log's identity, the records of a request, its items; or the text of a receipt.
// Out: text for a URL; or what it says, or what is wrong with the text.
// Absent: state. Any process with the same key can read any receipt.

/*
 * receipt     => base64url of: version(1) fingerprint(4) digest(4) bitmap(16) count *offset *time
 *                mac(16)
 * fingerprint => the first bytes of SHA-256 of the log's identity
 * digest      => CRC-32 of the items as canonical entries, in their order, big-endian
 * bitmap      => bit p mod 8 of byte p div 8 is set when partition p holds a record of the request
 * count       => varint: how many items there are
 * offset      => varint: the smallest offset, then for each set partition, in ascending order, how
 *                far the offset of its last record is above that
 * time        => varint: the earliest, in milliseconds since 1970 UTC; then, unless all are alike,
 *                for each set partition how much later its first record is
 * mac         => the first bytes of HMAC-SHA-256 of all before it
 *
 * Partitions fill evenly, so their offsets lie close together, and most records of a request are
 * cut at the same instant: 128 of them take under 1000 characters as long as their offsets are
 * within 2^35 of each other, and under 1200 when their times differ by less than 128 ms.
 */

import { createHash, createHmac, timingSafeEqual } from 'node:crypto'
import { crc32 } from 'node:zlib'
import { varintEnd, varintValue, writeVarint } from '../bytes/varint.ts'
import type { Offset } from '../log/log.ts'
import { partitionCount } from '../record/layout.ts'

const version = 2
const fingerprintAt = 1
const digestAt = fingerprintAt + 4
const bitmapAt = digestAt + 4
const numbersAt = bitmapAt + partitionCount / 8
const macBytes = 16

/** Most bytes of a varint that holds an offset or a time: 53 bits, seven a byte. */
const varintBytesMax = 8

const receiptBytesMax = numbersAt + (3 + 2 * partitionCount) * varintBytesMax + macBytes

/** What a request became in the log, by partition; -1 where it has no record. */
export interface RequestRecords {
  /** Of the last record that holds entries of the request. */
  readonly offsets: Float64Array
  /** Of the first, in milliseconds since 1970 UTC. */
  readonly times: Float64Array
}

/** The items of a request: how many, and what tells them from others. */
export interface RequestItems {
  count: number
  digest: number
}

/** The records of one partition. */
export interface PartitionRecords {
  /** Of the last of them. */
  offset: Offset
  /** Of the first of them, in milliseconds since 1970 UTC. */
  time: number
}

export interface Receipt extends RequestItems {
  records: ReadonlyMap<number, PartitionRecords>
  /** Whether its records are in the log of this identity. */
  isOf(logIdentity: string): boolean
}

export type DecodedReceipt =
  | { kind: 'receipt'; receipt: Receipt }
  /** Not one of ours, or changed. */
  | { kind: 'malformed'; expected: string; found: string }

export interface Receipts {
  encode(logIdentity: string, records: RequestRecords, items: RequestItems): string
  decode(text: string): DecodedReceipt
}

/** Tells the items of one request from those of another: canonical entries, one after the other. */
export function digestOf(entries: Uint8Array): number {
  return crc32(entries)
}

/** @param key the same in every process that shall read the receipts of the others */
export function createReceipts(key: Uint8Array): Receipts {
  const scratch = Buffer.alloc(receiptBytesMax)
  const sign = (bytes: Uint8Array): Uint8Array =>
    createHmac('sha256', key).update(bytes).digest().subarray(0, macBytes)
  const fingerprintOf = rememberLast(fingerprint)
  return {
    encode(logIdentity, records, { count, digest }) {
      scratch[0] = version
      scratch.set(fingerprintOf(logIdentity), fingerprintAt)
      scratch.writeUInt32BE(digest, digestAt)
      const end = writeRecords(scratch, writeVarint(scratch, numbersAt, count), records)
      scratch.set(sign(scratch.subarray(0, end)), end)
      return scratch.toString('base64url', 0, end + macBytes)
    },
    decode(text) {
      const bytes = Buffer.from(text, 'base64url')
      const end = bytes.length - macBytes
      // The decoder is lenient about what it skips; only the very text that was given out counts.
      if (end < numbersAt || bytes.toString('base64url') !== text) return malformed('other text')
      const mac = bytes.subarray(end)
      if (!timingSafeEqual(mac, sign(bytes.subarray(0, end)))) return malformed('another signature')
      if (bytes[0] !== version) return malformed(`version ${bytes[0]}`)
      const read = readNumbers(bytes.subarray(0, end))
      if (read === undefined) return malformed('numbers that do not fit')
      const own = bytes.subarray(fingerprintAt, digestAt)
      const isOf = (logIdentity: string): boolean => own.equals(fingerprintOf(logIdentity))
      return { kind: 'receipt', receipt: { ...read, digest: bytes.readUInt32BE(digestAt), isOf } }
    },
  }
}

function malformed(found: string): DecodedReceipt {
  return { kind: 'malformed', expected: 'a receipt as it was given out', found }
}

function fingerprint(identity: string): Uint8Array {
  return createHash('sha256')
    .update(identity)
    .digest()
    .subarray(0, digestAt - fingerprintAt)
}

/** A process sees one log, and asks for it with every receipt. */
function rememberLast<T>(make: (identity: string) => T): (identity: string) => T {
  let known: { identity: string; made: T } | undefined
  return (identity) => {
    if (known?.identity !== identity) known = { identity, made: make(identity) }
    return known.made
  }
}

/** Writes bitmap, offsets and times; returns where they end. */
function writeRecords(target: Uint8Array, from: number, { offsets, times }: RequestRecords) {
  target.fill(0, bitmapAt, numbersAt)
  let [smallest, earliest, latest] = [Infinity, Infinity, -1]
  for (let p = 0; p < partitionCount; p++) {
    if (offsets[p] < 0) continue
    target[bitmapAt + (p >> 3)] |= 1 << (p & 7)
    smallest = Math.min(smallest, offsets[p])
    earliest = Math.min(earliest, times[p])
    latest = Math.max(latest, times[p])
  }
  if (smallest === Infinity) return from
  let at = writeVarint(target, from, smallest)
  for (let p = 0; p < partitionCount; p++) {
    if (offsets[p] >= 0) at = writeVarint(target, at, offsets[p] - smallest)
  }
  at = writeVarint(target, at, earliest)
  if (earliest === latest) return at
  for (let p = 0; p < partitionCount; p++) {
    if (offsets[p] >= 0) at = writeVarint(target, at, times[p] - earliest)
  }
  return at
}

/** What fills a receipt behind its bitmap, or undefined when it does not. */
function readNumbers(receipt: Uint8Array): Omit<Receipt, 'digest' | 'isOf'> | undefined {
  const source = new DataView(receipt.buffer, receipt.byteOffset, receipt.length)
  let at = numbersAt
  const next = (): number => {
    const end = varintEnd(source, at, source.byteLength)
    if (end < 0) return NaN
    const value = varintValue(source, at, end)
    at = end
    return value
  }
  const partitions: number[] = []
  for (let p = 0; p < partitionCount; p++) {
    if ((receipt[bitmapAt + (p >> 3)] & (1 << (p & 7))) !== 0) partitions.push(p)
  }
  const count = next()
  const smallest = next()
  const offsets = partitions.map(() => smallest + next())
  const earliest = next()
  const areAlike = at === receipt.length
  const times = partitions.map(() => (areAlike ? earliest : earliest + next()))
  if (at !== receipt.length || ![count, ...offsets, ...times].every(Number.isSafeInteger)) {
    return undefined
  }
  return {
    count,
    records: new Map(partitions.map((p, i) => [p, { offset: offsets[i], time: times[i] }])),
  }
}
