// Where a reader of GET /v1/changes stands, as an opaque word to go on from.
// In:  the ledger, and up to where each partition is known.
// Out: a cursor, and back.
// Absent: signatures: a cursor grants nothing; and state: any process can read any cursor.

/*
 * cursor      => base64url of: version(1) fingerprint(4) bitmap(16) base(8) *distance
 * fingerprint => the first bytes of SHA-256 of what tells the ledger from others
 * bitmap      => bit p mod 8 of byte p div 8 is set when partition p is part of it
 * base        => FLOAT64: the earliest moment of all that have one
 * distance    => of each such partition, in ascending order: FLOAT64 in version 2; in version 1 a
 *                varint, 0 for a partition that is at the beginning, or 1 + moment - base
 *
 * Version 2 is for moments so far apart that their distance is no exact double, which takes a clock
 * that is centuries off. Usually partitions are within seconds of each other: 500 characters.
 */

import { createHash } from 'node:crypto'
import { varintEnd, varintValue, writeVarint } from '../bytes/varint.ts'
import { isMoment, type Moment } from '../ledger/moment.ts'
import { partitionCount } from '../record/layout.ts'

/** Partitions that are followed, and up to where each is known. */
export type Moments = ReadonlyMap<number, Moment>

const bitmapAt = 5
const baseAt = bitmapAt + partitionCount / 8
const distancesAt = baseAt + 8
const bytesMax = distancesAt + partitionCount * 8

export type DecodedCursor =
  | { kind: 'cursor'; moments: Map<number, Moment> }
  | { kind: 'malformed' }
  /** One of another ledger. */
  | { kind: 'foreign' }

export class ChangesCursors {
  readonly #fingerprint: Buffer
  readonly #scratch = Buffer.alloc(bytesMax)

  /** @param ledger whatever tells the ledger from others */
  constructor(ledger: string) {
    this.#fingerprint = createHash('sha256').update(ledger).digest().subarray(0, 4)
  }

  encode(moments: Moments): string {
    const target = this.#scratch
    const partitions = [...moments.keys()].sort((a, b) => a - b)
    const known = [...moments.values()].filter((moment) => moment > -Infinity)
    const base = known.length === 0 ? 0 : Math.min(...known)
    const isWide = Math.max(base, ...known) - base >= Number.MAX_SAFE_INTEGER
    target[0] = isWide ? 2 : 1
    target.set(this.#fingerprint, 1)
    target.fill(0, bitmapAt, baseAt)
    target.writeDoubleBE(base, baseAt)
    let at = distancesAt
    for (const partition of partitions) {
      target[bitmapAt + (partition >> 3)] |= 1 << (partition & 7)
      const moment = moments.get(partition) ?? -Infinity
      if (isWide) at = target.writeDoubleBE(moment, at)
      else at = writeVarint(target, at, moment === -Infinity ? 0 : moment - base + 1)
    }
    return target.toString('base64url', 0, at)
  }

  decode(text: string): DecodedCursor {
    const bytes = Buffer.from(text, 'base64url')
    const isOurs = bytes.toString('base64url') === text && bytes.length >= distancesAt
    if (!isOurs || (bytes[0] !== 1 && bytes[0] !== 2)) return { kind: 'malformed' }
    if (!bytes.subarray(1, bitmapAt).equals(this.#fingerprint)) return { kind: 'foreign' }
    const moments = readMoments(bytes)
    return moments ? { kind: 'cursor', moments } : { kind: 'malformed' }
  }
}

/** Undefined where the bytes are not what encode() writes. */
function readMoments(bytes: Buffer): Map<number, Moment> | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  const base = bytes.readDoubleBE(baseAt)
  const moments = new Map<number, Moment>()
  let at = distancesAt
  for (let partition = 0; partition < partitionCount; partition++) {
    if ((bytes[bitmapAt + (partition >> 3)] & (1 << (partition & 7))) === 0) continue
    const end = bytes[0] === 2 ? at + 8 : varintEnd(view, at, view.byteLength)
    if (end < 0 || end > bytes.length) return undefined
    const distance = bytes[0] === 2 ? NaN : varintValue(view, at, end)
    const near = distance === 0 ? -Infinity : base + (distance - 1)
    const moment = bytes[0] === 2 ? bytes.readDoubleBE(at) : near
    if (!isMoment(moment)) return undefined
    moments.set(partition, moment)
    at = end
  }
  return at === bytes.length && moments.size > 0 ? moments : undefined
}
