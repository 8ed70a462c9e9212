// RFC 9457 problem documents: the one form every refusal of this program has.
// In:  a status, a title and a sentence about this occurrence; or anything thrown by a handler.
// Out: an HttpReply of type application/problem+json.
// Absent: uWebSockets.js, logging (server.ts logs what is not the client's doing).

import { LedgerError, type ErrorCode } from '../errors.ts'
import type { WholeReply } from './http.ts'

/**
 * Seconds a client should wait after a 503: long enough for a full queue to drain, short enough to
 * recover at once.
 */
const retryAfterSeconds = 1

const problemType = 'application/problem+json'

/**
 * A problem document.
 *
 * `title` names the kind of problem and never varies between occurrences; `detail` is about this
 * one. `type` is the title as a relative URI, such as `/problems/invalid-request`, so that programs
 * can compare either. Members of `extra` (index, field, expected, found, …) stand beside the
 * standard ones. A 503 always carries Retry-After.
 */
export function problem(
  status: number,
  title: string,
  detail: string,
  extra: Record<string, unknown> = {},
): WholeReply {
  const slug = title.toLowerCase().replace(/[^a-z0-9]+/g, '-')
  const document = { type: `/problems/${slug}`, title, status, detail, ...extra }
  const reply = { status, contentType: problemType, body: JSON.stringify(document) }
  return status === 503
    ? { ...reply, headers: { 'Retry-After': String(retryAfterSeconds) } }
    : reply
}

const titles: Partial<Record<ErrorCode, readonly [status: number, title: string]>> = {
  LOG_FULL: [503, 'Log full'],
  LOG_UNAVAILABLE: [503, 'Log unavailable'],
  DATABASE_UNAVAILABLE: [503, 'Database unavailable'],
  OVERLOADED: [503, 'Overloaded'],
  STOPPING: [503, 'Stopping'],
  ARCHIVED: [410, 'Archived'],
}

/**
 * True for what a handler may throw in the ordinary course of things; the rest is our doing and
 * belongs in the log.
 */
export function isExpected(error: unknown): boolean {
  return error instanceof LedgerError && titles[error.code] !== undefined
}

/**
 * The problem document for anything a handler threw. What is not expected becomes a 500 that shows
 * nothing of it.
 */
export function problemFor(error: unknown): WholeReply {
  const known = error instanceof LedgerError ? titles[error.code] : undefined
  if (known === undefined || !(error instanceof LedgerError)) {
    const detail = 'The server failed to handle this request. Its log says why.'
    return problem(500, 'Internal error', detail)
  }
  return problem(known[0], known[1], error.message)
}
