// The range of ids that two points in time stand for.
// In:  the query parameters `from` and `to`.
// Out: ids: the lowest that belongs to the range, and the lowest past it.
// Absent: when an entry was accepted into the log: that is its created_at.

/*
 * A UUIDv7 begins with its milliseconds since 1970, so a range of time is a range of ids, which the
 * tables are divided and sorted by. Every other id lies where these 48 bits of it say, whatever
 * they mean: each entry is in exactly one place, and ranges that adjoin hold each exactly once.
 */

import type { HttpRequest } from '../http/http.ts'
import { uuidBytes } from '../record/layout.ts'
import { momentOf } from './moment.ts'
import { Refusal } from './request.ts'

export interface IdSpan {
  from?: Uint8Array
  /** Exclusive. */
  to?: Uint8Array
}

/** Both ends as they were asked for; neither has to be. */
export function timesOf(request: HttpRequest): { from?: string; to?: string } {
  const [from, to] = [momentOf(request, 'from'), momentOf(request, 'to')]
  if (from !== undefined && to !== undefined && to < from) {
    throw new Refusal('to', `no time before from, ${from}`, to)
  }
  return { ...(from === undefined ? {} : { from }), ...(to === undefined ? {} : { to }) }
}

export function idSpanOf(request: HttpRequest): IdSpan {
  const { from, to } = timesOf(request)
  return {
    ...(from === undefined ? {} : { from: lowestIdAt(from) }),
    ...(to === undefined ? {} : { to: lowestIdAt(to) }),
  }
}

/** An id of a millisecond that has begun before the moment lies before it. */
function lowestIdAt(moment: string): Uint8Array {
  const microseconds = Number(moment.slice(23, 26))
  const milliseconds = Date.parse(`${moment.slice(0, 23)}Z`) + (microseconds > 0 ? 1 : 0)
  const id = Buffer.alloc(uuidBytes)
  id.writeUIntBE(Math.max(0, milliseconds), 0, 6)
  return id
}
