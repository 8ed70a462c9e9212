// What a worker hands to the ledger to be committed as one transaction, and what it gets back.
// In:  rows as binary COPY data per bucket, and how far each partition moves.
// Out: types only.
// Absent: how it is committed (commit.ts), how rows are made (worker/rows.ts).

import type { Offset } from '../log/log.ts'

/** A partition's move, made only if PostgreSQL still has it at `from` under `epoch`. */
export interface CheckpointStep {
  partition: number
  from: Offset
  to: Offset
  epoch: number
  /**
   * When the rows of the last record before `to` were created, in microseconds since 2000-01-01
   * UTC; absent where no record of the flush has rows. Later than that of any record before `from`.
   */
  createdAt?: number
  /** The last pause of a second or more before one of these records, if there is one. */
  pause?: Pause
}

/** No rows of a partition were created between these, in microseconds since 2000-01-01 UTC. */
export interface Pause {
  /** When its rows before were, or -Infinity. */
  from: number
  to: number
}

/** Rows sorted by (account_id, id), log order kept among equals. */
export interface CopyRows {
  /** A whole binary COPY: header, tuples (account_id, id, amount, created_at), trailer. */
  copy: Uint8Array
  rows: number
}

/**
 * The rows of one bucket that are taken for new. That is a guess: a unique violation sends all of
 * them to the merge path.
 */
export interface BucketRows extends CopyRows {
  bucket: number
  /**
   * Rows that may repeat a key, among themselves or of those before or in the table: these are
   * merged. Of rows with the same key all but the first in log order are here.
   */
  doubtful: CopyRows
  /**
   * The bucket has leaves that have no key yet. The writer has seen to it that these rows repeat
   * nothing there; what cannot be copied has to wait until the leaves are sealed.
   */
  isOpen: boolean
}

/** A log record that could not be decoded, kept whole. */
export interface QuarantinedRecord {
  partition: number
  offset: Offset
  /** Log timestamp in milliseconds since 1970 UTC. */
  timestamp: number
  /** What was expected, what was found, and where. */
  reason: string
  bytes: Uint8Array
}

export interface Flush {
  steps: readonly CheckpointStep[]
  buckets: readonly BucketRows[]
  quarantined: readonly QuarantinedRecord[]
}

/** A partition's row in ledger.checkpoints. */
export interface Checkpoint {
  partition: number
  nextOffset: Offset
  epoch: number
  owner: string
  logIdentity: string
  /** As in CheckpointStep, of all records before `nextOffset`; absent where none has rows. */
  createdAt?: number
}

/**
 * - `committed`: all of it is in the tables. `inserted` rows are new; `duplicates` were there with
 *   the same amount; `conflicts` were there with another amount and are recorded (whether now or by
 *   an earlier flush); `held` are of archived days and kept apart.
 * - `stale`: nothing was written, because a checkpoint was not where the flush expected it;
 *   `checkpoints` is what PostgreSQL says now of the partitions in `steps`.
 * - `unsealed`: nothing was written, because rows of this bucket have to be merged and it has open
 *   leaves.
 */
export type FlushOutcome =
  | {
      kind: 'committed'
      inserted: number
      duplicates: number
      conflicts: number
      held: number
      mergedBuckets: readonly number[]
      /** Those of them where a key was there already. */
      repeatingBuckets: readonly number[]
    }
  | { kind: 'stale'; checkpoints: readonly Checkpoint[] }
  | { kind: 'unsealed'; bucket: number }
