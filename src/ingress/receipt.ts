// The receipt of a 202: which records of which log hold the request, signed so that nobody can make
// one up.
// In:  the log's identity, the offsets of a request; or the text of a receipt.
// Out: text for a URL; or offsets, or what is wrong with the text.
// Absent: state. Any process with the same key can read any receipt.

/*
 * receipt     => base64url of: version(1) fingerprint(4) bitmap(16) *offset mac(16)
 * fingerprint => the first bytes of SHA-256 of the log's identity
 * bitmap      => bit p mod 8 of byte p div 8 is set when partition p holds a record of the request
 * offset      => varint: the smallest offset, then for each set partition, in ascending order, how
 *                far its own is above that
 * mac         => the first bytes of HMAC-SHA-256 of all before it
 *
 * Partitions fill evenly, so their offsets lie close together: 128 of them take under 1000
 * characters as long as they are within 2^35 of each other.
 */

import { createHash, createHmac, timingSafeEqual } from 'node:crypto'
import { varintEnd, varintValue } from '../bytes/varint.ts'
import type { Offset } from '../log/log.ts'
import { partitionCount } from '../record/layout.ts'
import type { Offsets } from './waiter.ts'

const version = 1
const fingerprintAt = 1
const bitmapAt = fingerprintAt + 4
const offsetsAt = bitmapAt + partitionCount / 8
const macBytes = 16

/** Most bytes of a varint that holds an offset: 53 bits, seven a byte. */
const varintBytesMax = 8

const receiptBytesMax = offsetsAt + (1 + partitionCount) * varintBytesMax + macBytes

export type DecodedReceipt =
  | { kind: 'receipt'; offsets: ReadonlyMap<number, Offset> }
  /** `malformed`: not one of ours, or changed. `foreign`: ours, of another log. */
  | { kind: 'malformed' | 'foreign'; expected: string; found: string }

export interface Receipts {
  encode(logIdentity: string, offsets: Offsets): string
  decode(logIdentity: string, receipt: string): DecodedReceipt
}

/** @param key the same in every process that shall read the receipts of the others */
export function createReceipts(key: Uint8Array): Receipts {
  const scratch = Buffer.alloc(receiptBytesMax)
  const sign = (bytes: Uint8Array): Uint8Array =>
    createHmac('sha256', key).update(bytes).digest().subarray(0, macBytes)
  let known = { identity: '', fingerprint: fingerprintOf('') }
  const fingerprint = (identity: string): Uint8Array => {
    if (identity !== known.identity) known = { identity, fingerprint: fingerprintOf(identity) }
    return known.fingerprint
  }
  return {
    encode(logIdentity, offsets) {
      scratch[0] = version
      scratch.set(fingerprint(logIdentity), fingerprintAt)
      const end = writeOffsets(scratch, offsets)
      scratch.set(sign(scratch.subarray(0, end)), end)
      return scratch.toString('base64url', 0, end + macBytes)
    },
    decode(logIdentity, receipt) {
      const bytes = Buffer.from(receipt, 'base64url')
      const end = bytes.length - macBytes
      // The decoder is lenient about what it skips; only the very text that was given out counts.
      if (end < offsetsAt || bytes.toString('base64url') !== receipt) return malformed('other text')
      const mac = bytes.subarray(end)
      if (!timingSafeEqual(mac, sign(bytes.subarray(0, end)))) return malformed('another signature')
      if (bytes[0] !== version) return malformed(`version ${bytes[0]}`)
      if (!bytes.subarray(fingerprintAt, bitmapAt).equals(fingerprint(logIdentity))) {
        return { kind: 'foreign', expected: 'a receipt of this log', found: 'one of another log' }
      }
      const offsets = readOffsets(bytes.subarray(0, end))
      return offsets ? { kind: 'receipt', offsets } : malformed('offsets that do not fit')
    },
  }
}

function malformed(found: string): DecodedReceipt {
  return { kind: 'malformed', expected: 'a receipt as it was given out', found }
}

function fingerprintOf(identity: string): Uint8Array {
  return createHash('sha256')
    .update(identity)
    .digest()
    .subarray(0, bitmapAt - fingerprintAt)
}

/** Writes bitmap and offsets; returns where they end. */
function writeOffsets(target: Uint8Array, offsets: Offsets): number {
  target.fill(0, bitmapAt, offsetsAt)
  let smallest = Infinity
  for (let p = 0; p < partitionCount; p++) {
    const offset = offsets[p]
    if (offset >= 0) {
      target[bitmapAt + (p >> 3)] |= 1 << (p & 7)
      smallest = Math.min(smallest, offset)
    }
  }
  if (smallest === Infinity) return offsetsAt
  let at = writeVarint(target, offsetsAt, smallest)
  for (let p = 0; p < partitionCount; p++) {
    const offset = offsets[p]
    if (offset >= 0) at = writeVarint(target, at, offset - smallest)
  }
  return at
}

/** The offsets that fill the rest of a receipt, or undefined when they do not. */
function readOffsets(receipt: Uint8Array): ReadonlyMap<number, Offset> | undefined {
  const source = new DataView(receipt.buffer, receipt.byteOffset, receipt.length)
  const offsets = new Map<number, Offset>()
  let at = offsetsAt
  const next = (): number => {
    const end = varintEnd(source, at, source.byteLength)
    if (end < 0) return NaN
    const value = varintValue(source, at, end)
    at = end
    return value
  }
  let smallest: number | undefined
  for (let p = 0; p < partitionCount; p++) {
    if ((receipt[bitmapAt + (p >> 3)] & (1 << (p & 7))) === 0) continue
    smallest ??= next()
    const offset = smallest + next()
    if (!Number.isSafeInteger(offset)) return undefined
    offsets.set(p, offset)
  }
  return at === receipt.length ? offsets : undefined
}

/** Returns where the varint ends. Offsets pass 2^32, so this divides where others shift. */
function writeVarint(target: Uint8Array, at: number, value: number): number {
  while (value >= 0x80) {
    target[at++] = (value % 0x80) | 0x80
    value = Math.floor(value / 0x80)
  }
  target[at++] = value
  return at
}
