// What the orchestrator and a worker thread say to each other: plain data, one map for each
// direction.
// In:  nothing.
// Out: types, and the layout of a slice.
// Absent: behaviour.

import type { ErrorCode } from '../errors.ts'
import type { LogFormat } from '../observe/logger.ts'

/**
 * A record in the ring, as consecutive numbers of a Float64Array: partition, generation, offset,
 * timestamp (ms), start (bytes into the ring), length (bytes), ring counter to release once it is
 * applied.
 */
export const sliceFields = 7

export const slice = {
  partition: 0,
  generation: 1,
  offset: 2,
  timestamp: 3,
  start: 4,
  length: 5,
  ringEnd: 6,
} as const

/** Given to a thread at its start. */
export interface ThreadOptions {
  worker: number
  ring: SharedArrayBuffer
  databaseUrl: string
  buckets: number
  /** Recorded beside the checkpoints this process owns. */
  owner: string
  logIdentity: string
  logLevel: string
  logFormat: LogFormat
  crashAt: string | undefined
  /** Rows a second of a bucket from which its key is built afterwards; Infinity for never. */
  openLeafRate: number
}

/**
 * From where a partition is to be read. Slices carry the generation they were read under; those of
 * an earlier one are dropped.
 */
export interface Position {
  partition: number
  offset: number
  generation: number
}

export type ToWorker =
  /** Claim these partitions, besides those held already. */
  | { kind: 'assign'; partitions: readonly number[] }
  /** Stop working on these partitions. */
  | { kind: 'revoke'; partitions: readonly number[] }
  /** Records to apply; sliceFields numbers each. */
  | { kind: 'slices'; slices: Float64Array }
  /** Apply what is in the ring, then end. */
  | { kind: 'stop' }

/** What one committed flush did. */
export interface Progress {
  kind: 'progress'
  ringEnd: number
  /**
   * partition, next offset, timestamp of the last record applied (ms); three numbers a partition.
   */
  positions: Float64Array
  inserted: number
  duplicates: number
  conflicts: number
  held: number
  quarantined: number
  mergedBuckets: number
  rows: number
  seconds: number
}

export type FromWorker =
  /**
   * Read these partitions from here: after a claim, or because PostgreSQL says something else than
   * was expected.
   */
  | { kind: 'read-from'; positions: readonly Position[] }
  | Progress
  /**
   * A flush whose answer was lost turned out to be committed: partition, next offset; two numbers a
   * partition.
   */
  | { kind: 'confirmed'; positions: Float64Array }
  /** Ring space is free again without a flush. */
  | { kind: 'released'; ringEnd: number }
  /** Another process claimed these partitions; this one has stopped writing them. */
  | { kind: 'fenced'; partitions: readonly number[]; reason: string }
  /** These partitions cannot go on until an operator acts. */
  | { kind: 'halted'; partitions: readonly number[]; code: ErrorCode; reason: string }
  /** How many leaves are open now, and how many seals failed since the last such message. */
  | { kind: 'leaves'; open: number; failedSeals: number }
  /** The database went away (reason) or came back (undefined). */
  | { kind: 'database'; reason: string | undefined }
  /** The configuration cannot work: the process must end. */
  | { kind: 'fatal'; code: ErrorCode; reason: string }
