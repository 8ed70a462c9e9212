// How long a client is ready to wait for its items to be persisted: `?wait=5s`.
// In:  the text of the parameter.
// Out: milliseconds.
// Absent: waiting.

import { waitMsMax } from '../limits.ts'

/** What a refusal says was expected. */
export const waitExpected = `a time from 0s to ${waitMsMax / 1000}s, such as 5s or 250ms`

/** Undefined when the text is not a time, or a longer one than anybody may wait. */
export function parseWait(text: string): number | undefined {
  const match = /^(\d{1,5})(ms|s)$/.exec(text)
  const ms = Number(match?.[1]) * (match?.[2] === 's' ? 1000 : 1)
  return ms <= waitMsMax ? ms : undefined
}
