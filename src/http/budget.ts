// The bytes that requests under way may hold, bodies and slabs together.
// In:  what is taken before it is allocated, and given back when it is free again.
// Out: yes or no; the gauge that operators see.
// Absent: waiting. What does not fit is refused, so that memory stays flat.

import assert from 'node:assert/strict'
import { metrics } from '../observe/metrics.ts'

export class ByteBudget {
  readonly limit: number
  private inUse = 0

  constructor(limitBytes: number) {
    this.limit = limitBytes
  }

  get taken(): number {
    return this.inUse
  }

  hasRoomFor(bytes: number): boolean {
    return this.inUse + bytes <= this.limit
  }

  /** Takes all of it and returns true, or takes nothing and returns false. */
  take(bytes: number): boolean {
    if (!this.hasRoomFor(bytes)) return false
    this.inUse += bytes
    metrics.inflightBytes.set(this.inUse)
    return true
  }

  give(bytes: number): void {
    this.inUse -= bytes
    assert(this.inUse >= 0, 'more bytes were given back than taken')
    metrics.inflightBytes.set(this.inUse)
  }
}
