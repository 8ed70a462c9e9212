// Checks that the amounts of every id in a batch sum to zero: double entry.
// In:  a batch, and which of its items repeat another.
// Out: a fault that names the first id that does not balance, and its sum.
// Absent: BigInt per transaction, memory between requests, currencies (amounts of one id are taken
//         to be of one).

/*
 * Sums are kept as two halves: of the high words, signed, and of the low words, unsigned. Each
 * stays below 5000 * 2^32 < 2^53, so both are exact, and so is their sum high * 2^32 + low.
 *
 * Ids are found in an open-addressing table as in repeats.ts, and for the same reason with random
 * factors: clients choose ids, and must not be able to choose ones that collide.
 */

import assert from 'node:assert/strict'
import { randomFillSync } from 'node:crypto'
import { formatUuid } from '../bytes/uuid.ts'
import { requestItemsMax } from '../limits.ts'
import { amountAt, entryBytes, idAt, uuidBytes } from '../record/layout.ts'
import type { RequestBatch, RequestFault } from './batch.ts'

const wordScale = 2 ** 32
const slotBits = 14
const slots = 1 << slotBits
const idWords = uuidBytes / 4

assert(requestItemsMax * 2 <= slots, 'probes stay short while the table is at most half full')
assert(requestItemsMax * wordScale < 2 ** 53, 'the sum of as many words must be exact')

/** For each slot 1 + the number of the id that stands there; 0 for none. */
const table = new Uint16Array(slots)
const factors = randomFillSync(new Int32Array(2 * idWords))
/** By number of the id: its first item, and the halves of its sum. */
const first = new Uint16Array(requestItemsMax)
const high = new Float64Array(requestItemsMax)
const low = new Float64Array(requestItemsMax)

/** An item that comes twice is one entry of the ledger, and counts once. */
export function balanceFault(batch: RequestBatch): RequestFault | undefined {
  const { count, entries, repeats } = batch
  const view = new DataView(entries.buffer, entries.byteOffset, entries.byteLength)
  table.fill(0)
  let ids = 0
  let repeat = 0
  for (let index = 0; index < count; index++) {
    if (repeat < repeats.length && repeats[repeat] === index) {
      repeat += 1
      continue
    }
    const at = index * entryBytes
    const slot = slotOf(view, at)
    if (table[slot] === 0) {
      table[slot] = ids + 1
      first[ids] = index
      high[ids] = 0
      low[ids] = 0
      ids += 1
    }
    const id = table[slot] - 1
    high[id] += view.getInt32(at + amountAt + 4, true)
    low[id] += view.getUint32(at + amountAt, true)
  }
  for (let id = 0; id < ids; id++) {
    if (!isZero(high[id], low[id])) return faultOf(entries, first[id], high[id], low[id])
  }
  return undefined
}

/** The slot of the id of the entry at `at`, or the empty one where it belongs. */
function slotOf(view: DataView, at: number): number {
  let sum = 0
  for (let word = 0; word < idWords; word++) {
    const value = view.getInt32(at + idAt + word * 4, true)
    sum += Math.imul(value & 0xffff, factors[2 * word])
    sum += Math.imul(value >>> 16, factors[2 * word + 1])
  }
  let slot = (sum | 0) >>> (32 - slotBits)
  while (table[slot] !== 0 && !isSameId(view, first[table[slot] - 1] * entryBytes, at)) {
    slot = (slot + 1) & (slots - 1)
  }
  return slot
}

function isSameId(view: DataView, a: number, b: number): boolean {
  for (let i = idAt + uuidBytes - 4; i >= idAt; i -= 4) {
    if (view.getInt32(a + i, true) !== view.getInt32(b + i, true)) return false
  }
  return true
}

/** Both halves cancel out: what the low words carry is what the high ones lack. */
function isZero(highSum: number, lowSum: number): boolean {
  return lowSum % wordScale === 0 && highSum + lowSum / wordScale === 0
}

function faultOf(
  entries: Uint8Array,
  index: number,
  highSum: number,
  lowSum: number,
): RequestFault {
  const at = index * entryBytes + idAt
  const id = formatUuid(entries.subarray(at, at + uuidBytes))
  const sum = String(BigInt(highSum) * BigInt(wordScale) + BigInt(lowSum))
  const expected = `the amounts of id ${id} to sum to 0`
  return { index, id, sum, expected, found: `a sum of ${sum}` }
}
