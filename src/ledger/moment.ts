// Instants as PostgreSQL keeps them, to the microsecond.
// In:  microseconds since 2000-01-01 UTC, or the bytes of timestamptz_send in hexadecimal.
// Out: either; RFC 3339 text.
// Absent: Date, which knows milliseconds only.

import { timestampMax, timestampMin } from '../limits.ts'

/** Microseconds since 2000-01-01 UTC; -Infinity before anything. */
export type Moment = number

/** Where PostgreSQL begins to count, in milliseconds since 1970 UTC. */
export const postgresEpochMs = Date.UTC(2000, 0, 1)
const momentMin = (timestampMin - postgresEpochMs) * 1000
/** Somewhat later than any timestamp, since records follow each other by a microsecond. */
const momentMax = 9e18

export function isMoment(value: number): boolean {
  return value === -Infinity || (Number.isInteger(value) && value >= momentMin && value < momentMax)
}

/** e.g. `2026-11-24T12:00:00.123456Z`. */
export function momentText(moment: Moment): string {
  const milliseconds = Math.floor(moment / 1000)
  const micros = moment - milliseconds * 1000
  const text = new Date(Math.min(timestampMax, postgresEpochMs + milliseconds)).toISOString()
  return `${text.slice(0, -1).replace(/^\+0*/, '')}${String(micros).padStart(3, '0')}Z`
}

/** The moment as SQL, exact whenever it is. */
export function momentLiteral(moment: Moment): string {
  if (Math.abs(moment) < Number.MAX_SAFE_INTEGER) return `timestamptz '${momentText(moment)}'`
  return `(timestamptz '2000-01-01 00:00+00' + ${moment} * interval '1 microsecond')`
}

export function momentOfHex(hex: string): Moment {
  const high = Number.parseInt(hex.slice(0, 8), 16) | 0
  return high * 2 ** 32 + Number.parseInt(hex.slice(8, 16), 16)
}
