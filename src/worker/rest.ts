// How long a worker that keeps up rests between two flushes.
// In:  how long flushes took; the bytes that wait.
// Out: milliseconds.
// Absent: waiting itself (applier.ts).

/*
 * A flush costs so much whatever it carries, so a worker that flushes whenever there is anything
 * does nothing else at a few thousand rows a second, and takes the time that acknowledgements need.
 * One that rests for as long as it worked makes half as many flushes, of twice as many rows.
 * Where nothing came for longer than that, the next record is flushed at once; where much waits,
 * nobody rests.
 */
import { entryBytes } from '../record/layout.ts'

const restMsMax = 100
/** From here on a flush has so many rows that more make it hardly cheaper by the row. */
const waitingBytesMax = 65_536 * entryBytes

export class Rest {
  private until = 0

  /** @param from, to by performance.now(): when a flush began and ended */
  worked(from: number, to: number): void {
    this.until = to + Math.min(restMsMax, to - from)
  }

  /** @returns milliseconds, 0 to flush at once */
  left(now: number, waitingBytes: number): number {
    return waitingBytes < waitingBytesMax ? Math.max(0, this.until - now) : 0
  }
}
