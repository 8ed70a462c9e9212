// Finds transactions that come twice in one request.
// In:  canonical entries, one after the other.
// Out: a fault when an identity comes again with another amount; the same amount again is no fault,
//      and remembered.
// Absent: memory between requests, allocation, dropping of repeats (the ledger takes each identity
//         once anyway).

/*
 * One open-addressing table serves every request. A slot holds generation * 2^13 + index of an
 * entry; slots of an earlier generation count as empty, so a new request costs nothing to begin.
 *
 * Clients choose ids, and must not be able to choose ones that collide. The slot comes from
 * multilinear hashing over 16-bit halves with 32-bit random factors (Lemire and Kaser, "Strongly
 * universal string hashing is fast"): for any two identities chosen without knowing the factors,
 * the top 17 bits of the sum are alike once in 2^17.
 */

import assert from 'node:assert/strict'
import { randomFillSync } from 'node:crypto'
import { requestItemsMax } from '../limits.ts'
import { accountIdAt, amountAt, entryBytes, idAt } from '../record/layout.ts'
import type { RequestFault } from './batch.ts'

const indexBits = 13
const slotBits = 14
const slots = 1 << slotBits
const generationMax = 2 ** (32 - indexBits) - 1

assert(requestItemsMax <= 1 << indexBits, 'an index must fit its bits')
assert(requestItemsMax * 2 <= slots, 'probes stay short while the table is at most half full')

/** Words of an identity: those of account_id, then those of id. */
const identityWords = 8

export class Repeats {
  private readonly table = new Uint32Array(slots)
  private readonly factors = randomFillSync(new Int32Array(2 * identityWords))
  private readonly same = new Uint16Array(requestItemsMax)
  private sameCount = 0
  private generation = 0

  /** Entries that are the very same as an earlier one, ascending; valid until the next begin(). */
  get indexes(): Uint16Array {
    return this.same.subarray(0, this.sameCount)
  }

  /** Forgets every entry of the request before. */
  begin(): void {
    if (this.generation === generationMax) {
      this.table.fill(0)
      this.generation = 0
    }
    this.generation += 1
    this.sameCount = 0
  }

  /**
   * Remembers the canonical entry `index` and compares it with those before it. Entries are added
   * in their order, each once.
   */
  add(entries: DataView, index: number): RequestFault | undefined {
    const stamp = this.generation * (1 << indexBits)
    const at = index * entryBytes
    let slot = this.slotOf(entries, at)
    for (;;) {
      const taken = this.table[slot] - stamp
      if (taken < 0) break
      const earlierAt = taken * entryBytes
      if (isSameIdentity(entries, earlierAt, at)) {
        this.same[this.sameCount] = index
        this.sameCount += 1
        return compareAmounts(entries, taken, index)
      }
      slot = (slot + 1) & (slots - 1)
    }
    this.table[slot] = stamp + index
    return undefined
  }

  private slotOf(entries: DataView, at: number): number {
    const account = at + accountIdAt
    const id = at + idAt
    const sum =
      this.product(entries.getInt32(account, true), 0) +
      this.product(entries.getInt32(account + 4, true), 2) +
      this.product(entries.getInt32(account + 8, true), 4) +
      this.product(entries.getInt32(account + 12, true), 6) +
      this.product(entries.getInt32(id, true), 8) +
      this.product(entries.getInt32(id + 4, true), 10) +
      this.product(entries.getInt32(id + 8, true), 12) +
      this.product(entries.getInt32(id + 12, true), 14)
    return (sum | 0) >>> (32 - slotBits)
  }

  /** Both halves of a word, each times its own factor. */
  private product(word: number, factor: number): number {
    const low = Math.imul(word & 0xffff, this.factors[factor])
    const high = Math.imul(word >>> 16, this.factors[factor + 1])
    return (low + high) | 0
  }
}

function isSameIdentity(entries: DataView, a: number, b: number): boolean {
  // Ids differ in their last bytes most often, so these are compared first.
  for (let i = 12; i >= 0; i -= 4) {
    if (entries.getInt32(a + idAt + i, true) !== entries.getInt32(b + idAt + i, true)) return false
  }
  for (let i = 12; i >= 0; i -= 4) {
    const at = accountIdAt + i
    if (entries.getInt32(a + at, true) !== entries.getInt32(b + at, true)) return false
  }
  return true
}

function compareAmounts(
  entries: DataView,
  earlier: number,
  index: number,
): RequestFault | undefined {
  const before = entries.getBigInt64(earlier * entryBytes + amountAt, true)
  const now = entries.getBigInt64(index * entryBytes + amountAt, true)
  if (before === now) return undefined
  const expected = `${before}, the amount of the same account_id and id in item ${earlier}`
  return { index, field: 'amount', expected, found: `${now}` }
}
