// The rows of an export as lines of text: NDJSON, or CSV by RFC 4180.
// In:  rows in binary (ledger/export.ts).
// Out: one buffer, over and over.
// Absent: strings for a row, quoting: nothing in a row needs it.

import { writeAscii, writeInt64, writePadded, writeUuid } from '../bytes/text.ts'
import { exportRow } from '../ledger/export.ts'
import { postgresEpochMs } from '../ledger/moment.ts'
import { streamPieceBytes } from '../limits.ts'

/** Turns rows into what is sent. What a call returns is gone with the next call. */
export interface RowEncoder {
  /** The most rows it takes at once. */
  readonly rows: number
  begin(): Uint8Array
  encode(rows: Uint8Array): Uint8Array
  end(): Uint8Array
}

/** What stands before, between and behind the four values of a line. */
type Frame = readonly [string, string, string, string, string]

/** The longest id, account, amount and time with what stands around them. */
const lineBytesMax = 256
const nothing = new Uint8Array(0)

export function ndjsonEncoder(accountId: string): RowEncoder {
  const frame: Frame = [
    '{"id":"',
    `","account_id":"${accountId}","amount":"`,
    '","created_at":"',
    'Z"}\n',
    '',
  ]
  return new LineEncoder(frame)
}

export function csvEncoder(accountId: string): RowEncoder {
  const frame: Frame = ['', `,${accountId},`, ',', 'Z\r\n', 'id,account_id,amount,created_at\r\n']
  return new LineEncoder(frame)
}

class LineEncoder implements RowEncoder {
  readonly rows = Math.floor(streamPieceBytes / lineBytesMax) * 2
  readonly #target = Buffer.allocUnsafe(this.rows * lineBytesMax)
  readonly #beforeId: Uint8Array
  readonly #beforeAmount: Uint8Array
  readonly #beforeTime: Uint8Array
  readonly #behind: Uint8Array
  readonly #head: Uint8Array
  /** Entries beside each other are mostly of one second. */
  #second = NaN
  #secondText = ''

  constructor(frame: Frame) {
    const [id, amount, time, behind, head] = frame.map((text) => Buffer.from(text))
    this.#beforeId = id
    this.#beforeAmount = amount
    this.#beforeTime = time
    this.#behind = behind
    this.#head = head
  }

  begin(): Uint8Array {
    return this.#head
  }

  encode(rows: Uint8Array): Uint8Array {
    const target = this.#target
    const view = new DataView(rows.buffer, rows.byteOffset, rows.byteLength)
    let to = 0
    for (let at = 0; at < rows.length; at += exportRow.bytes) {
      to = put(target, to, this.#beforeId)
      to = writeUuid(target, to, rows, at + exportRow.id)
      to = put(target, to, this.#beforeAmount)
      to = writeInt64(target, to, view, at + exportRow.amount)
      to = put(target, to, this.#beforeTime)
      to = this.#writeTime(target, to, view, at + exportRow.createdAt)
      to = put(target, to, this.#behind)
    }
    return target.subarray(0, to)
  }

  end(): Uint8Array {
    return nothing
  }

  /** To the millisecond, as everywhere in the API. */
  #writeTime(target: Uint8Array, at: number, view: DataView, from: number): number {
    // As a double it is off by less than a millisecond, and only in years past 2255.
    const microseconds = view.getInt32(from) * 2 ** 32 + view.getUint32(from + 4)
    const milliseconds = Math.floor(microseconds / 1000) + postgresEpochMs
    const second = Math.floor(milliseconds / 1000)
    if (second !== this.#second) {
      this.#second = second
      this.#secondText = new Date(second * 1000).toISOString().replace('000Z', '')
    }
    const to = writeAscii(target, at, this.#secondText)
    return writePadded(target, to, milliseconds - second * 1000, 3)
  }
}

/** Some ten bytes: a call of set() costs more than the loop. */
function put(target: Uint8Array, at: number, bytes: Uint8Array): number {
  for (let i = 0; i < bytes.length; i += 1) target[at + i] = bytes[i]
  return at + bytes.length
}
