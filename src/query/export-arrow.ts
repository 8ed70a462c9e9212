// The rows of an export as an Arrow IPC stream.
// In:  rows in binary (ledger/export.ts).
// Out: the messages of a record batch for each call.
// Absent: anything before an export in this format is asked for: the package is large, so this
//         module is loaded then.

import {
  AsyncByteQueue,
  Field,
  FixedSizeBinary,
  Int64,
  makeData,
  RecordBatch,
  RecordBatchStreamWriter,
  Schema,
  Struct,
  TimestampMicrosecond,
} from 'apache-arrow'
import { exportRow } from '../ledger/export.ts'
import { postgresEpochMs } from '../ledger/moment.ts'
import { uuidBytes } from '../record/layout.ts'
import type { RowEncoder } from './export-text.ts'

/** A batch of some 400 kB: its head is small beside it, and what has to be held still is. */
const batchRows = 8192

/** The canonical extension type: who does not know it sees 16 bytes. */
const uuidMetadata = new Map([
  ['ARROW:extension:name', 'arrow.uuid'],
  ['ARROW:extension:metadata', ''],
])

const types = {
  id: new FixedSizeBinary(uuidBytes),
  account_id: new FixedSizeBinary(uuidBytes),
  amount: new Int64(),
  created_at: new TimestampMicrosecond('UTC'),
}
type Types = typeof types

const schema = new Schema<Types>([
  new Field('id', types.id, false, uuidMetadata),
  new Field('account_id', types.account_id, false, uuidMetadata),
  new Field('amount', types.amount, false),
  new Field('created_at', types.created_at, false),
])

/** Where the writer puts its bytes, to be taken away at once. */
class Taken extends AsyncByteQueue {
  #chunks: Uint8Array[] = []

  override write(chunk: Uint8Array): void {
    this.#chunks.push(chunk)
  }

  take(): Uint8Array {
    const chunks = this.#chunks
    this.#chunks = []
    return Buffer.concat(chunks)
  }
}

export function arrowEncoder(accountId: Uint8Array): RowEncoder {
  return new ArrowEncoder(accountId)
}

class ArrowEncoder implements RowEncoder {
  readonly rows = batchRows
  readonly #taken = new Taken()
  readonly #writer = new RecordBatchStreamWriter<Types>({ autoDestroy: false })
  readonly #ids = new Uint8Array(batchRows * uuidBytes)
  readonly #accounts = new Uint8Array(batchRows * uuidBytes)
  readonly #amounts = new BigInt64Array(batchRows)
  readonly #times = new BigInt64Array(batchRows)

  constructor(accountId: Uint8Array) {
    for (let row = 0; row < batchRows; row += 1) this.#accounts.set(accountId, row * uuidBytes)
  }

  begin(): Uint8Array {
    this.#writer.reset(this.#taken, schema)
    return this.#taken.take()
  }

  encode(rows: Uint8Array): Uint8Array {
    const count = rows.length / exportRow.bytes
    const view = new DataView(rows.buffer, rows.byteOffset, rows.byteLength)
    for (let row = 0, at = 0; row < count; row += 1, at += exportRow.bytes) {
      const id = at + exportRow.id
      for (let i = 0; i < uuidBytes; i += 1) this.#ids[row * uuidBytes + i] = rows[id + i]
      this.#amounts[row] = view.getBigInt64(at + exportRow.amount)
      this.#times[row] = view.getBigInt64(at + exportRow.createdAt) + postgresEpochUs
    }
    this.#writer.write(this.#batchOf(count))
    return this.#taken.take()
  }

  end(): Uint8Array {
    this.#writer.close()
    return this.#taken.take()
  }

  #batchOf(length: number): RecordBatch<Types> {
    const ends = { length, nullCount: 0 }
    const children = [
      makeData({ ...ends, type: types.id, data: this.#ids }),
      makeData({ ...ends, type: types.account_id, data: this.#accounts }),
      makeData({ ...ends, type: types.amount, data: this.#amounts }),
      makeData({ ...ends, type: types.created_at, data: this.#times }),
    ]
    const type = new Struct<Types>(schema.fields)
    return new RecordBatch(schema, makeData({ ...ends, type, children }))
  }
}

const postgresEpochUs = BigInt(postgresEpochMs) * 1000n
