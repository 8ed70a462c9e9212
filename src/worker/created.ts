// When a record's rows were created, so that the records of a partition can be told apart by it.
// In:  a record's timestamp, and when the rows of the record before it were created.
// Out: microseconds since 2000-01-01 UTC, as PostgreSQL keeps them.
// Absent: state.

import type { Pause } from '../ledger/flush.ts'
import { postgresEpochMs } from '../ledger/moment.ts'

/*
 * Clocks repeat milliseconds and go back, and several processes write to one partition. So each
 * record is a microsecond at least after the one before it: rows of a partition come in the order
 * of their created_at, all rows of a record share one, and no two records do. GET /v1/changes rests
 * on that. The last one is kept beside the offset in ledger.checkpoints, so a replay finds the same
 * times.
 */

/**
 * @param previous -Infinity before the first record
 * @param timestamp milliseconds since 1970 UTC
 */
export function createdAfter(previous: number, timestamp: number): number {
  const own = (timestamp - postgresEpochMs) * 1000
  return own > previous ? own : previous + spacingAt(previous)
}

/** Past the year 2255 not every microsecond is a double any more. */
function spacingAt(value: number): number {
  return Math.max(1, 2 ** (Math.floor(Math.log2(Math.abs(value))) - 52))
}

/** When the rows of a partition in a flush were created. */
export interface Created {
  createdAt: number
  pause?: Pause
}

/** From when on a partition without records has paused. */
const pauseMicroseconds = 1_000_000

/** What is known of a partition in a flush once another record is in it; `before` without it. */
export function createdWith(
  before: Created | undefined,
  previous: number,
  createdAt: number,
): Created {
  if (createdAt - previous < pauseMicroseconds) return { ...before, createdAt }
  return { createdAt, pause: { from: previous, to: createdAt } }
}
