// Finds the contents of a history by their key.
// In:  a history.
// Out: for an (account_id, id), its contents in the order in which they were made.
// Absent: what may or may not be in the tables (checker-keys.ts).

import type { History } from './history.ts'

/**
 * An open-addressing hash table of content indexes, and a chain through the contents of one key.
 */
export class ContentIndex {
  readonly #history: History
  readonly #slots: Int32Array
  readonly #mask: number
  readonly #next: Int32Array
  readonly #later: Uint8Array

  constructor(history: History) {
    this.#history = history
    const size = 2 ** Math.ceil(Math.log2(Math.max(history.count * 2, 16)))
    this.#slots = new Int32Array(size).fill(-1)
    this.#mask = size - 1
    this.#next = new Int32Array(history.count).fill(-1)
    this.#later = new Uint8Array(history.count)
    for (let i = 0; i < history.count; i++) this.#insert(i)
  }

  /** The first content of this key, or -1 where no client ever sent one. */
  find(bytes: Uint8Array, accountAt: number, idAt: number): number {
    return this.#slots[this.#slotOf(bytes, accountAt, bytes, idAt)] ?? -1
  }

  /** The next content of the same key, or -1. */
  next(content: number): number {
    return this.#next[content] ?? -1
  }

  /** Whether this content is the first of its key. */
  isFirst(content: number): boolean {
    return this.#later[content] === 0
  }

  /** The first content of the key of `first` that has this amount, or -1. */
  withAmount(first: number, amount: bigint): number {
    let content = first
    while (content >= 0 && this.#history.amounts[content] !== amount) content = this.next(content)
    return content
  }

  #insert(content: number): void {
    const { accounts, ids } = this.#history
    const slot = this.#slotOf(accounts, content * 16, ids, content * 16)
    const first = this.#slots[slot] ?? -1
    if (first < 0) {
      this.#slots[slot] = content
      return
    }
    this.#later[content] = 1
    let last = first
    while (this.next(last) >= 0) last = this.next(last)
    this.#next[last] = content
  }

  /** The slot that holds this key, or the empty one where it belongs. */
  #slotOf(accounts: Uint8Array, accountAt: number, ids: Uint8Array, idAt: number): number {
    const hash =
      Math.imul(lastWord(ids, idAt), 0x9e3779b1) ^
      Math.imul(lastWord(accounts, accountAt), 0x85ebca77)
    let slot = (hash ^ (hash >>> 15)) & this.#mask
    for (;;) {
      const content = this.#slots[slot] ?? -1
      if (content < 0) return slot
      const at = content * 16
      if (
        same16(this.#history.ids, at, ids, idAt) &&
        same16(this.#history.accounts, at, accounts, accountAt)
      ) {
        return slot
      }
      slot = (slot + 1) & this.#mask
    }
  }
}

function lastWord(bytes: Uint8Array, at: number): number {
  return (
    ((bytes[at + 12] ?? 0) << 24) |
    ((bytes[at + 13] ?? 0) << 16) |
    ((bytes[at + 14] ?? 0) << 8) |
    (bytes[at + 15] ?? 0)
  )
}

function same16(a: Uint8Array, aAt: number, b: Uint8Array, bAt: number): boolean {
  for (let i = 15; i >= 0; i--) if (a[aAt + i] !== b[bAt + i]) return false
  return true
}
