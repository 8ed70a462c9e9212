// A decode thread's entry: reads JSON bodies in memory that the main thread shares.
// In:  a body at the start of a SharedArrayBuffer.
// Out: its entries and, behind them, their partitions, in the place of the body; or why it is
//      refused.
// Absent: HTTP, the log; protobuf bodies, which cost the main thread less than the way here.

import assert from 'node:assert/strict'
import { entryBytes } from '../record/layout.ts'
import { balanceFault } from '../batch/balance.ts'
import { RequestBatch, type Batch, type RequestFault } from '../batch/batch.ts'
import { parseJson } from '../batch/parse-json.ts'

export interface DecodeTask {
  memory: SharedArrayBuffer
  bodyBytes: number
  /** The amounts of each id must sum to zero. */
  balanced: boolean
}

/** How many transactions the memory holds now, or why there are none. */
export type DecodeResult = number | RequestFault

let batch: RequestBatch | undefined

export default function decode({ memory, bodyBytes, balanced }: DecodeTask): DecodeResult {
  batch ??= new RequestBatch()
  const body = new Uint8Array(memory, 0, bodyBytes)
  const fault = parseJson(body, batch) ?? (balanced ? balanceFault(batch) : undefined)
  if (fault) return fault
  const { count, entries, partitions } = batch
  // As JSON an item takes 108 bytes at least, so what it becomes always fits.
  assert(count * (entryBytes + 1) <= bodyBytes)
  const target = new Uint8Array(memory)
  target.set(entries.subarray(0, count * entryBytes))
  target.set(partitions.subarray(0, count), count * entryBytes)
  return count
}

/** What a thread has left in `memory`. */
export function decodedBatch(memory: SharedArrayBuffer, count: number): Batch {
  const end = count * entryBytes
  return {
    count,
    entries: new Uint8Array(memory, 0, end),
    partitions: new Uint8Array(memory, end, count),
  }
}
