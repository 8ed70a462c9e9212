// Points in time as clients write them.
// In:  a query parameter.
// Out: an instant in UTC, to the microsecond; or a refusal that says what is wrong.
// Absent: which entries belong to it.

import type { HttpRequest } from '../http/http.ts'
import { Refusal } from './request.ts'

const pattern =
  /^(\d{4})-(\d\d)-(\d\d)[Tt](\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?(?:[Zz]|([+-])(\d\d):(\d\d))$/
const expected =
  'a date and time by RFC 3339, such as 2026-11-24T12:00:00Z or 2026-11-24T14:00:00%2B02:00'

/**
 * RFC 3339 in UTC with microseconds, or `undefined` where the parameter is not given. What is finer
 * is cut off: no entry lies in between.
 */
export function momentOf({ query }: HttpRequest, name: string): string | undefined {
  const found = query.get(name)
  if (found === null) return undefined
  const parts = pattern.exec(found)
  if (parts === null) throw new Refusal(name, expected, hinted(found))
  const [year, month, day, hour, minute, second] = parts.slice(1, 7).map(Number)
  const fraction = (parts[7] ?? '').padEnd(6, '0').slice(0, 6)
  const [offsetHour, offsetMinute] = [Number(parts[9] ?? 0), Number(parts[10] ?? 0)]
  if (second === 60) {
    throw new Refusal(name, 'seconds from 00 to 59: no entry is within a leap second', found)
  }
  // Years below 100 would mean others to Date.UTC.
  const local = new Date(0)
  local.setUTCFullYear(year, month - 1, day)
  local.setUTCHours(hour, minute, second)
  const isDate = local.getUTCMonth() === month - 1 && local.getUTCDate() === day
  const isTime = hour < 24 && minute < 60 && second < 60 && offsetHour < 24 && offsetMinute < 60
  if (!isDate || !isTime) throw new Refusal(name, 'a date and time that exist', found)
  const offset = (parts[8] === '-' ? -1 : 1) * (offsetHour * 60 + offsetMinute)
  const utc = new Date(local.getTime() - offset * 60_000).toISOString()
  if (!/^\d{4}-/.test(utc) || utc.startsWith('0000-')) {
    throw new Refusal(name, 'a time in the years 0001 to 9999 UTC', found)
  }
  return `${utc.slice(0, 19)}.${fraction}Z`
}

function hinted(found: string): string {
  return / \d\d:\d\d$/.test(found) ? `${found} (a + in a URL is written %2B)` : found
}
