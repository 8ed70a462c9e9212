// Remembers which keys were written to a leaf that has no key yet.
// In:  canonical entries.
// Out: whether a key may have been seen before; never "no" for one that was.
// Absent: the keys themselves: a fingerprint of 32 bits at a place that 20 bits of another hash
//         chose.

import assert from 'node:assert/strict'
import { keySetKeysMax, keySetSlots } from '../limits.ts'
import { accountIdAt, idAt } from '../record/layout.ts'

const slotMask = keySetSlots - 1

/** The same for all sets, so that a key is hashed once for several. */
const seeds = crypto.getRandomValues(new Int32Array(2))

/*
 * Open addressing with linear probing; 0 marks an empty slot. A false "seen" costs the leaf its
 * speed, not money: it is sealed early, and PostgreSQL looks for itself. With the keys of one leaf
 * that happens once in some thousand leaves. The seeds keep others from choosing keys that collide.
 */
export class KeySet {
  private readonly fingerprints = new Int32Array(keySetSlots)
  private keys = 0

  get size(): number {
    return this.keys
  }

  get isFull(): boolean {
    return this.keys >= keySetKeysMax
  }

  clear(): void {
    this.fingerprints.fill(0)
    this.keys = 0
  }

  /**
   * Adds the key of the entry at `position`; true if it may have been there before, or is in the
   * `older` set.
   */
  add(view: DataView, position: number, older?: KeySet): boolean {
    assert(this.keys < keySetSlots - 1)
    let place = seeds[0]
    let mark = seeds[1]
    for (let at = 0; at < 16; at += 4) {
      const account = view.getInt32(position + accountIdAt + at)
      const id = view.getInt32(position + idAt + at)
      place = mix(place, account, 0x9e3779b1)
      mark = mix(mark, account, 0x85ebca6b)
      place = mix(place, id, 0xc2b2ae35)
      mark = mix(mark, id, 0x27d4eb2f)
    }
    if (mark === 0) mark = 1
    const slot = (place ^ (place >>> 15)) & slotMask
    if (older !== undefined && older.find(slot, mark) < 0) return true
    const free = this.find(slot, mark)
    if (free < 0) return true
    this.fingerprints[free] = mark
    this.keys++
    return false
  }

  /** The free slot where the mark belongs; -1 when it is there. */
  private find(start: number, mark: number): number {
    const { fingerprints } = this
    for (let slot = start; ; slot = (slot + 1) & slotMask) {
      const found = fingerprints[slot]
      if (found === mark) return -1
      if (found === 0) return slot
    }
  }
}

function mix(hash: number, word: number, odd: number): number {
  const mixed = Math.imul(hash ^ word, odd)
  return mixed ^ (mixed >>> 16)
}
