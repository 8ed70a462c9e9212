// The log, as everyone but its implementations sees it: durable appends, and readers from an
// offset.
// In:  record bytes for a partition.
// Out: the offset once durable; records from an offset on.
// Absent: Kafka, lmdb, what the bytes mean.

import type { LedgerError } from '../errors.ts'

/** Offset of a record within its partition: ascending, with gaps allowed. Below 2^53. */
export type Offset = number

export interface LogRecord {
  partition: number
  offset: Offset
  /** When the record was accepted, in milliseconds since 1970 UTC. The same at every read. */
  timestamp: number
  /** Valid until the next `read` of the same reader. */
  bytes: Uint8Array
}

/** What a partition holds: records from `first` up to, not including, `next`. */
export interface LogRange {
  first: Offset
  next: Offset
}

export interface LogReader {
  /**
   * Replaces what is read: each partition from the given offset on. Records of an earlier
   * assignment are never returned afterwards.
   */
  assign(positions: ReadonlyMap<number, Offset>): Promise<void>

  /**
   * Resolves with what has arrived, in offset order within each partition, at most about `maxBytes`
   * but at least one record where there is one; with an empty array after at most 100 ms where
   * there is none. One call at a time. Not calling is the backpressure: a reader holds a bounded
   * number of bytes ahead of its caller.
   */
  read(maxBytes: number): Promise<LogRecord[]>

  close(): Promise<void>
}

export interface ReaderOptions {
  /**
   * Told when a partition cannot be read on (OFFSET_GONE, OFFSET_BEYOND_END). The reader goes on
   * with the others and returns nothing more of that partition until it is assigned again.
   */
  onFault(partition: number, error: LedgerError): void
}

export interface Log {
  /**
   * Names this very log: another log, or a topic recreated under the same name, has another one.
   */
  readonly identity: string

  /**
   * Resolves with the record's offset once it is durable: on disk, or acknowledged by all in-sync
   * replicas. The bytes must not change until then. Rejects with LOG_FULL (not taken),
   * LOG_UNAVAILABLE (possibly taken) or STOPPING. Appends to one partition get ascending offsets in
   * call order.
   *
   * @param timestamp the record's, in milliseconds since 1970 UTC; now unless given
   */
  append(partition: number, bytes: Uint8Array, timestamp?: number): Promise<Offset>

  /** A reader with its own connection. Readers are independent of each other. */
  openReader(options: ReaderOptions): Promise<LogReader>

  /** What the given partitions hold now. */
  ranges(partitions: readonly number[]): Promise<Map<number, LogRange>>

  /**
   * Told what PostgreSQL has durably applied: records below these offsets are no longer needed by
   * this program. The embedded log trims them; Kafka publishes them to the consumer group and keeps
   * its own retention.
   */
  release(positions: ReadonlyMap<number, Offset>): Promise<void>

  /** Why the log cannot take appends now, or `undefined` when it can. */
  unavailable(): string | undefined

  /** Waits for appends under way, then lets go of everything. Readers must be closed before. */
  close(): Promise<void>
}

/** Which partitions this process should work on; a hint, since the checkpoint's epoch decides. */
export interface Membership {
  /** Calls `onAssigned` with the whole set each time it changes, first as soon as it is known. */
  start(onAssigned: (partitions: readonly number[]) => void): Promise<void>
  /** Leaves, so that others take over at once. */
  stop(): Promise<void>
}
