// How far PostgreSQL is behind the log, by partition.
// In:  records handed to workers, committed positions, what the log holds.
// Out: records and seconds of lag.
// Absent: any decision taken from it.

import type { LogRange, Offset } from '../log/log.ts'

interface Progress {
  committed: Offset
  /** Offset up to which records have been handed to a worker. */
  received: Offset
  /**
   * A time not later than that of the oldest record not committed; undefined when none is known.
   */
  behindSince: number | undefined
}

export interface Lag {
  records: number
  seconds: number
}

// committed ≤ received ≤ what the log holds.
export class LagMeter {
  private readonly partitions = new Map<number, Progress>()

  get positions(): Map<number, Offset> {
    return new Map([...this.partitions].map(([partition, { committed }]) => [partition, committed]))
  }

  /** A partition is read from here, where PostgreSQL stands. */
  begin(partition: number, offset: Offset): void {
    this.partitions.set(partition, { committed: offset, received: offset, behindSince: undefined })
  }

  end(partition: number): void {
    this.partitions.delete(partition)
  }

  received(partition: number, offset: Offset, timestamp: number): void {
    const progress = this.partitions.get(partition)
    if (!progress) return
    progress.received = offset + 1
    progress.behindSince ??= timestamp
  }

  /** @param timestamp that of the last record committed, in milliseconds since 1970 UTC */
  committed(partition: number, offset: Offset, timestamp: number | undefined): void {
    const progress = this.partitions.get(partition)
    if (!progress) return
    progress.committed = offset
    progress.behindSince = offset < progress.received ? timestamp : undefined
  }

  /** Lag of every partition being worked on, given what the log holds. */
  measure(ranges: ReadonlyMap<number, LogRange>, now: number): Map<number, Lag> {
    const lags = new Map<number, Lag>()
    for (const [partition, progress] of this.partitions) {
      const next = ranges.get(partition)?.next ?? progress.received
      const records = Math.max(0, next - progress.committed)
      // Records that nobody has read yet have no known time: they count from when they were
      // noticed.
      if (records > 0) progress.behindSince ??= now
      const since = records === 0 ? now : (progress.behindSince ?? now)
      lags.set(partition, { records, seconds: Math.max(0, now - since) / 1000 })
    }
    return lags
  }
}
