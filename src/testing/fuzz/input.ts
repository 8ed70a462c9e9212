// One input of a fuzzer: bytes that are built and changed in place.
// In:  bytes, and where they go.
// Out: the whole of them, as a view with other bytes before and behind it.
// Absent: choosing what is changed (mutate.ts).

/** Longest input; what would not fit is cut off. */
export const inputBytesMax = 1024 * 1024

/**
 * Whoever reads outside of an input finds bytes that were never part of it, as in a buffer that is
 * used again.
 */
const marginBytes = 64

export class Input {
  readonly #arena = Buffer.alloc(inputBytesMax + 2 * marginBytes, '0')
  length = 0

  /** Valid until the next change. */
  get bytes(): Buffer {
    return this.#arena.subarray(marginBytes, marginBytes + this.length)
  }

  byteAt(at: number): number {
    return this.#arena[marginBytes + at]
  }

  setByte(at: number, value: number): void {
    if (at < this.length) this.#arena[marginBytes + at] = value
  }

  set(bytes: Uint8Array): void {
    this.length = Math.min(bytes.length, inputBytesMax)
    this.#arena.set(bytes.subarray(0, this.length), marginBytes)
  }

  cut(length: number): void {
    this.length = Math.min(this.length, length)
  }

  /** Puts bytes in the place of `removed` others. */
  splice(at: number, removed: number, inserted: Uint8Array): void {
    const from = Math.min(at + removed, this.length)
    const end = this.length - from + at + inserted.length
    if (end > inputBytesMax) return
    const start = marginBytes + at
    const rest = marginBytes + from
    this.#arena.copyWithin(start + inserted.length, rest, marginBytes + this.length)
    this.#arena.set(inserted, start)
    this.length = end
  }
}
