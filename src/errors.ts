// Every error the program raises on purpose: a code, a sentence, and what the code asks the caller
// to do.
// In:  nothing.
// Out: LedgerError, reactionTo().
// Absent: HTTP status codes (http/ maps them), SQLSTATEs (postgres/retry.ts maps them).

/**
 * What a failure asks for.
 *
 * - `exit`: the configuration cannot work; say so and end the process non-zero.
 * - `retry`: the world is down for now; try again for ever, with backoff.
 * - `halt`: going on would lose or double money; stop this partition and say so until an operator
 *   acts.
 * - `yield`: somebody else owns the partition now; stop writing it.
 */
export type Reaction = 'exit' | 'retry' | 'halt' | 'yield'

const reactions = {
  /** A flag or variable has a value that cannot work. */
  CONFIG_INVALID: 'exit',
  /** The listening address cannot be bound. */
  LISTEN_FAILED: 'exit',
  /** Another process holds the data directory. */
  DATA_DIR_LOCKED: 'exit',
  /** A package or program the configuration needs is not installed. */
  DEPENDENCY_MISSING: 'exit',
  /**
   * The database refuses us for a reason that waiting does not cure: password, missing database,
   * privileges.
   */
  DATABASE_REFUSED: 'exit',
  /** The tables were made by a newer program, or for another number of buckets or databases. */
  LAYOUT_MISMATCH: 'exit',
  /** The topic exists with settings that break the contract. */
  TOPIC_UNSUITABLE: 'exit',
  /**
   * PostgreSQL cannot be reached, or cut the connection; the outcome of what was in flight is
   * unknown.
   */
  DATABASE_UNAVAILABLE: 'retry',
  /**
   * The log cannot be reached, or did not confirm in time; an append may or may not have been
   * taken.
   */
  LOG_UNAVAILABLE: 'retry',
  /** The log's disk budget is used up; nothing was taken. */
  LOG_FULL: 'retry',
  /** The checkpoint points at records the log no longer has. */
  OFFSET_GONE: 'halt',
  /** The checkpoint points past the end of the log: the log lost records or was recreated. */
  OFFSET_BEYOND_END: 'halt',
  /** The log is not the one the checkpoints were made with. */
  LOG_IDENTITY_CHANGED: 'halt',
  /** The log's partition count is not the one the tables rely on. */
  PARTITION_COUNT_CHANGED: 'halt',
  /** A partition that was claimed has no checkpoint any more. */
  CHECKPOINT_GONE: 'halt',
  /** A leaf holds a key twice, so that its unique index cannot be built. */
  KEY_VIOLATED: 'halt',
  /** What is asked for is in files, and can be had once an operator has restored it. */
  ARCHIVED: 'halt',
  /** A log record is larger than a worker can hold; no ingress writes such a record. */
  RECORD_TOO_LARGE: 'halt',
  /** Another process claimed the partition. */
  FENCED: 'yield',
  /**
   * More requests are under way than `--max-inflight` allows, and nothing was taken; or more reads
   * than `--query-connections` can answer in time.
   */
  OVERLOADED: 'retry',
  /** The process is stopping, and takes nothing more. */
  STOPPING: 'retry',
} as const satisfies Record<string, Reaction>

export type ErrorCode = keyof typeof reactions

/** An error of the world, as opposed to a bug of ours (those are assertions). */
export class LedgerError extends Error {
  readonly code: ErrorCode

  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'LedgerError'
    this.code = code
  }

  get reaction(): Reaction {
    return reactions[this.code]
  }
}

/**
 * The reaction an unknown error asks for; `undefined` for what is not a LedgerError, that is, for a
 * bug of ours.
 */
export function reactionTo(error: unknown): Reaction | undefined {
  return error instanceof LedgerError ? error.reaction : undefined
}

/** The message of anything thrown, for logs and for messages that quote a cause. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
