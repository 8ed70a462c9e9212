// The wire format of a TransactionBatch, read slowly and plainly: what record/ and batch/ must
// agree with.
// In:  bytes.
// Out: transactions, each with where it begins, up to the first fault: entry, field, position and
//      what was expected.
// Absent: the program's codecs; speed.

/*
 * batch => *( tag(1, LEN) varint *field )
 * field => tag(1, LEN) varint id / tag(2, LEN) varint account_id / tag(3, I64) amount[8]
 *
 * Any order, the last of several counts, all three must be there, and nothing else may be.
 */

import type { Entry } from '../../record/encode.ts'

export interface WireFault {
  index: number
  field?: string
  position: number
  expected: string
}

export interface WireEntry extends Entry {
  at: number
}

export interface WireReading {
  /** Those before the fault, if there is one. */
  entries: WireEntry[]
  fault?: WireFault
}

const entryTag = 0x0an
const accountIdTag = 0x12n
const amountTag = 0x19n
const uuidBytes = 16
const tagBytesMax = 5
const varintBytesMax = 10

/** One for all, since millions of them are thrown; the fault is with the reader. */
const refused = new Error('refused')

export function readWire(bytes: Uint8Array): WireReading {
  const entries: WireEntry[] = []
  const reader = new Reader(bytes)
  try {
    while (reader.at < bytes.length) entries.push(reader.entry())
    return { entries }
  } catch (error) {
    if (error !== refused || reader.fault === undefined) throw error
    return { entries, fault: { index: entries.length, ...reader.fault } }
  }
}

class Reader {
  fault: Omit<WireFault, 'index'> | undefined
  readonly #bytes: Uint8Array
  at = 0

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
  }

  entry(): WireEntry {
    const start = this.at
    const tag = this.#varint(this.#bytes.length, tagBytesMax, 'the tag of a transaction')
    if (tag !== entryTag) this.#refuse(start, 'field 1 (LEN), a transaction')
    const what = 'the length of a transaction'
    const end = this.#lengthEnd(this.#bytes.length, what)
    const values = this.#fields(end)
    const [id, accountId, amount] = ['id', 'account_id', 'amount'].map((name) => values.get(name))
    if (id === undefined) this.#refuse(end, 'an id', 'id')
    if (accountId === undefined) this.#refuse(end, 'an account_id', 'account_id')
    if (amount === undefined) this.#refuse(end, 'an amount', 'amount')
    for (const [name, value] of [
      ['id', id],
      ['account_id', accountId],
    ] as const) {
      if (value.bytes.length !== uuidBytes) {
        this.#refuse(value.at, `${uuidBytes} bytes`, name)
      }
    }
    const view = new DataView(amount.bytes.buffer, amount.bytes.byteOffset, 8)
    return {
      at: start,
      id: id.bytes,
      accountId: accountId.bytes,
      amount: view.getBigInt64(0, true),
    }
  }

  /** Values by name, each with where it stands; of several the last. */
  #fields(end: number): Map<string, { at: number; bytes: Uint8Array }> {
    const values = new Map<string, { at: number; bytes: Uint8Array }>()
    while (this.at < end) {
      const tagAt = this.at
      const tag = this.#varint(end, tagBytesMax, 'the tag of a field')
      let valueEnd: number
      let name: string
      if (tag === amountTag) {
        name = 'amount'
        valueEnd = this.at + 8
        if (valueEnd > end) this.#refuse(this.at, '8 more bytes', name)
      } else if (tag === entryTag || tag === accountIdTag) {
        name = tag === entryTag ? 'id' : 'account_id'
        valueEnd = this.#lengthEnd(end, 'a length', name)
      } else {
        this.#refuse(tagAt, 'field 1 (LEN), 2 (LEN) or 3 (I64) of a transaction')
      }
      values.set(name, { at: this.at, bytes: this.#bytes.slice(this.at, valueEnd) })
      this.at = valueEnd
    }
    return values
  }

  /** Where what follows a length ends, which must be before `end`. */
  #lengthEnd(end: number, what: string, field?: string): number {
    const lengthAt = this.at
    const length = this.#varint(end, varintBytesMax, what, field)
    if (length > BigInt(end - this.at)) {
      this.#refuse(lengthAt, `${length} more bytes`, field)
    }
    return this.at + Number(length)
  }

  #varint(end: number, bytesMax: number, what: string, field?: string): bigint {
    let value = 0n
    for (let i = 0; i < bytesMax && this.at + i < end; i += 1) {
      const byte = this.#bytes[this.at + i]
      value += BigInt(byte & 0x7f) << BigInt(7 * i)
      if (byte < 0x80) {
        this.at += i + 1
        return value
      }
    }
    this.#refuse(this.at, what, field)
  }
  #refuse(position: number, expected: string, field?: string): never {
    this.fault = field === undefined ? { position, expected } : { field, position, expected }
    throw refused
  }
}
