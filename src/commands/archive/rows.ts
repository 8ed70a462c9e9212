// What the rows of a binary COPY add up to, in one pass and a few bytes of memory.
// In:  the bytes of a COPY, in chunks of any size.
// Out: how many rows, their sum, their extremes; an error where they are not sorted, or no rows.
// Absent: files, an object for a row.

import { formatUuid } from '../../bytes/uuid.ts'
import { copyHeaderBytes, copyTrailerBytes } from '../../limits.ts'
import { momentText } from '../../ledger/moment.ts'

export interface RowSums {
  entries: string
  sum: string
  /** Lowest and highest id, and first and last created_at (RFC 3339, UTC); null without rows. */
  firstId: string | null
  lastId: string | null
  earliest: string | null
  latest: string | null
}

const signature = Buffer.from('5047434f50590aff0d0a000000000000000000', 'hex')
const rowBytes = 66
const accountAt = 6
const idAt = 26
const amountAt = 46
const createdAt = 58
/** INT16 4, and the lengths of the four fields. */
const shape = [
  [0, 0x0004_0000],
  [2, 16],
  [22, 16],
  [42, 8],
  [54, 8],
] as const
/** So many high halves of an int64 add up to less than 2^53. */
const foldedEach = 1 << 20

export class RowReader {
  #rest = Buffer.alloc(0)
  #hasHeader = false
  #rows = 0
  #sum = 0n
  #high = 0
  #low = 0
  #last: Buffer | undefined
  #firstId: Buffer | undefined
  #lastId: Buffer | undefined
  #earliest = Infinity
  #latest = -Infinity

  read(chunk: Buffer): void {
    const bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk])
    let at = 0
    if (!this.#hasHeader && bytes.length >= copyHeaderBytes) {
      if (!bytes.subarray(0, copyHeaderBytes).equals(signature)) throw new Error('another header')
      this.#hasHeader = true
      at = copyHeaderBytes
    }
    if (this.#hasHeader) {
      for (; at + rowBytes <= bytes.length; at += rowBytes) this.#row(bytes, at)
    }
    // What is kept must not change with the buffer of the next chunk.
    if (this.#last !== undefined) this.#last = Buffer.from(this.#last)
    this.#rest = Buffer.from(bytes.subarray(at))
  }

  end(): RowSums {
    const isWhole = this.#rest.length === copyTrailerBytes && this.#rest.readInt16BE(0) === -1
    if (!this.#hasHeader || !isWhole) throw new Error('it ends in the middle')
    this.#fold()
    return {
      entries: String(this.#rows),
      sum: String(this.#sum),
      firstId: this.#firstId ? formatUuid(this.#firstId) : null,
      lastId: this.#lastId ? formatUuid(this.#lastId) : null,
      earliest: this.#rows > 0 ? momentText(this.#earliest) : null,
      latest: this.#rows > 0 ? momentText(this.#latest) : null,
    }
  }

  #row(bytes: Buffer, at: number): void {
    for (const [offset, expected] of shape) {
      const found = bytes.readInt32BE(at + offset)
      const isRight = offset === 0 ? found >>> 16 === expected >>> 16 : found === expected
      if (!isRight) throw new Error(`row ${this.#rows} of another shape`)
    }
    const row = bytes.subarray(at, at + rowBytes)
    if (this.#last !== undefined && compareKeys(this.#last, row) >= 0) {
      throw new Error(`row ${this.#rows} is not above the one before it`)
    }
    this.#last = row
    this.#high += row.readInt32BE(amountAt)
    this.#low += row.readUInt32BE(amountAt + 4)
    if (++this.#rows % foldedEach === 0) this.#fold()
    const id = row.subarray(idAt, idAt + 16)
    if (this.#firstId === undefined || id.compare(this.#firstId) < 0)
      this.#firstId = Buffer.from(id)
    if (this.#lastId === undefined || id.compare(this.#lastId) > 0) this.#lastId = Buffer.from(id)
    const created = row.readInt32BE(createdAt) * 2 ** 32 + row.readUInt32BE(createdAt + 4)
    this.#earliest = Math.min(this.#earliest, created)
    this.#latest = Math.max(this.#latest, created)
  }

  #fold(): void {
    this.#sum += (BigInt(this.#high) << 32n) + BigInt(this.#low)
    this.#high = 0
    this.#low = 0
  }
}

function compareKeys(a: Buffer, b: Buffer): number {
  return (
    a.compare(b, accountAt, accountAt + 16, accountAt, accountAt + 16) ||
    a.compare(b, idAt, idAt + 16, idAt, idAt + 16)
  )
}
