// A log whose appends settle when a test says so, for properties of order no real log lets one see.
// In:  appends.
// Out: each of them, with its bytes as they were and the means to settle it.
// Absent: durability, readers.

import type { Log, LogRange, LogReader, Offset } from '../log/log.ts'

export interface HeldAppend {
  partition: number
  /** As they were when they were appended. */
  copy: Uint8Array
  /** The caller's own bytes, to see whether they have changed. */
  bytes: Uint8Array
  timestamp: number
  confirm(offset: Offset): void
  fail(error: Error): void
}

export class HeldLog implements Log {
  readonly identity = 'held'
  readonly appends: HeldAppend[] = []
  /** While true every append is confirmed at once, with ascending offsets. */
  confirmsAtOnce = false
  reason: string | undefined
  private next = 0
  private confirmed = 0
  private wake = (): void => undefined

  append(partition: number, bytes: Uint8Array, timestamp = Date.now()): Promise<Offset> {
    const settled = new Promise<Offset>((confirm, fail) => {
      const copy = Uint8Array.from(bytes)
      this.appends.push({ partition, bytes, copy, timestamp, confirm, fail })
    })
    if (this.confirmsAtOnce) this.appends.at(-1)?.confirm(this.next++)
    this.wake()
    return settled
  }

  /** Resolves once `count` appends have been made in all. */
  async appended(count: number): Promise<void> {
    while (this.appends.length < count) {
      await new Promise<void>((resolve) => (this.wake = resolve))
    }
  }

  /** Confirms what came since the last call, in the order it came, with ascending offsets. */
  confirmAll(): void {
    for (const append of this.appends.slice(this.confirmed)) append.confirm(this.next++)
    this.confirmed = this.appends.length
  }

  openReader(): Promise<LogReader> {
    return Promise.reject(new Error('A held log has no readers.'))
  }

  ranges(): Promise<Map<number, LogRange>> {
    return Promise.resolve(new Map<number, LogRange>())
  }

  release(): Promise<void> {
    return Promise.resolve()
  }

  unavailable(): string | undefined {
    return this.reason
  }

  close(): Promise<void> {
    return Promise.resolve()
  }
}
