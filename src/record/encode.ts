// Writes the canonical encoding of transactions.
// In:  positions in the caller's bytes; or, for tests and tools, whole transactions.
// Out: canonical entries (layout.ts).
// Absent: other encodings of the same message; the hot path's values, which parsers write straight
//         into place.

import { accountIdAt, amountAt, entryBytes, idAt } from './layout.ts'

/** 0A 2D 0A 10: an entry of 45 bytes, and in it an id of 16; as a little-endian word. */
export const entryHead = 0x100a2d0a
/** 12 10: an account_id of 16 bytes; as a little-endian half word. */
export const accountIdHead = 0x1012
/** 19: an amount in 8 bytes. */
export const amountHead = 0x19

/**
 * Writes the seven bytes of the canonical entry at `at` that are the same in every entry: its tags
 * and lengths.
 */
export function writeEntryFrame(target: DataView, at: number): void {
  target.setInt32(at, entryHead, true)
  target.setInt16(at + accountIdAt - 2, accountIdHead, true)
  target.setUint8(at + amountAt - 1, amountHead)
}

/** A transaction as an object: for tests and tools. */
export interface Entry {
  /** 16 bytes. */
  id: Uint8Array
  /** 16 bytes. */
  accountId: Uint8Array
  amount: bigint
}

/** The canonical encoding of a batch: for tests and tools. */
export function encodeBatch(entries: readonly Entry[]): Uint8Array {
  const bytes = new Uint8Array(entries.length * entryBytes)
  const view = new DataView(bytes.buffer)
  for (const [index, entry] of entries.entries()) {
    const at = index * entryBytes
    writeEntryFrame(view, at)
    bytes.set(entry.id, at + idAt)
    bytes.set(entry.accountId, at + accountIdAt)
    view.setBigInt64(at + amountAt, entry.amount, true)
  }
  return bytes
}
