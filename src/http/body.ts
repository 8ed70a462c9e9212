// Collects the body of one request into one contiguous piece of memory.
// In:  chunks that are only valid while they are handed over.
// Out: the whole body, without a copy when it came in one chunk.
// Absent: uWebSockets.js, replies.

import assert from 'node:assert/strict'
import type { ByteBudget } from './budget.ts'
import type { KeptBody } from './http.ts'

/**
 * The first buffer of a body. It doubles from there, so that a body holds at most twice what has
 * come of it, whatever length is declared: who declares much and sends little takes no room from
 * others.
 */
const firstBytes = 1024

/** Free buffers kept for the next bodies. */
const retainedBytesMax = 16 * 1024 * 1024

const nothing = new Uint8Array(0)

/**
 * Free buffers by size, each size a power of two.
 *
 * Without it every body is a new ArrayBuffer that only a garbage collection frees, and saturation
 * means gigabytes of them.
 */
export class BufferPool {
  private readonly free = new Map<number, Uint8Array[]>()
  private retained = 0
  private readonly isShared: boolean

  /** @param isShared whether threads may be given the buffers */
  constructor(isShared = false) {
    this.isShared = isShared
  }

  /** A buffer of at least `bytes`, with whatever the last body left in it. */
  take(bytes: number): Uint8Array {
    const size = 2 ** Math.ceil(Math.log2(Math.max(bytes, 1024)))
    const buffer = this.free.get(size)?.pop()
    if (buffer === undefined) {
      return this.isShared
        ? new Uint8Array(new SharedArrayBuffer(size))
        : Buffer.allocUnsafeSlow(size)
    }
    this.retained -= size
    return buffer
  }

  give(buffer: Uint8Array): void {
    const size = buffer.length
    if (size === 0 || this.retained + size > retainedBytesMax) return
    this.retained += size
    const others = this.free.get(size)
    if (others) others.push(buffer)
    else this.free.set(size, [buffer])
  }
}

export interface BodySource {
  pool: BufferPool
  budget: ByteBudget
  bytesMax: number
}

/**
 * `overflow`: longer than allowed. `no-room`: the budget is used up. After either the body holds
 * nothing.
 */
export type BodyState = 'partial' | 'whole' | 'overflow' | 'no-room'

export class Body {
  private readonly source: BodySource
  private readonly declared: number | undefined
  private buffer: Uint8Array = nothing
  private length = 0
  private reserved = 0

  /**
   * A body of `declared` bytes, or of unknown length; undefined when the budget has no room for it
   * now. The room is taken as the body comes.
   */
  static open(source: BodySource, declared: number | undefined): Body | undefined {
    return source.budget.hasRoomFor(declared ?? 0) ? new Body(source, declared) : undefined
  }

  private constructor(source: BodySource, declared: number | undefined) {
    this.source = source
    this.declared = declared
  }

  append(chunk: Uint8Array, isLast: boolean): BodyState {
    const end = this.length + chunk.length
    if (end > this.source.bytesMax) return this.drop('overflow')
    if (isLast && this.length === 0) {
      if (!this.reserve(end)) return this.drop('no-room')
      this.buffer = nothing
      this.whole = chunk
      return 'whole'
    }
    if (end > this.buffer.length && !this.grow(end)) return this.drop('no-room')
    this.buffer.set(chunk, this.length)
    this.length = end
    if (!isLast) return 'partial'
    this.whole = this.buffer.subarray(0, end)
    return 'whole'
  }

  /**
   * The body, once `append` has said `whole`; until `release`, or until a single chunk is taken
   * away again.
   */
  whole: Uint8Array = nothing

  /** The whole body for others to have, copied only if it came in one chunk. */
  keep(): KeptBody {
    const { pool, budget } = this.source
    const { length } = this.whole
    const [buffer, reserved] = [
      this.buffer.length > 0 ? this.buffer : pool.take(length),
      this.reserved,
    ]
    if (this.buffer.length === 0) buffer.set(this.whole)
    this.buffer = nothing
    this.reserved = 0
    const memory = buffer.buffer
    assert(memory instanceof SharedArrayBuffer, 'the pool shares its buffers')
    const release = (): void => {
      pool.give(buffer)
      budget.give(reserved)
    }
    return { memory, length, release }
  }

  /** Gives memory and budget back. May be called again. */
  release(): void {
    this.source.pool.give(this.buffer)
    this.source.budget.give(this.reserved)
    this.buffer = nothing
    this.whole = nothing
    this.length = 0
    this.reserved = 0
  }

  private drop(state: BodyState): BodyState {
    this.release()
    return state
  }

  private grow(end: number): boolean {
    const doubled = Math.max(firstBytes, 2 ** Math.ceil(Math.log2(end)))
    const wanted = Math.min(doubled, this.declared ?? Infinity)
    if (!this.reserve(wanted)) return false
    const larger = this.source.pool.take(wanted)
    larger.set(this.buffer.subarray(0, this.length))
    this.source.pool.give(this.buffer)
    this.buffer = larger
    return true
  }

  /** Raises what is reserved to `bytes`. */
  private reserve(bytes: number): boolean {
    if (bytes <= this.reserved) return true
    if (!this.source.budget.take(bytes - this.reserved)) return false
    this.reserved = bytes
    return true
  }
}
