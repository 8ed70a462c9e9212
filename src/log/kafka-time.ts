// Waiting, with a bound.
// In:  attempts, promises.
// Out: promises that end in bounded time.
// Absent: Kafka.

import { setTimeout as delay } from 'node:timers/promises'

const backoffMsMax = 5000

/** Waits longer with each attempt, from 0.2 to 5 seconds. */
export async function backoff(attempt: number): Promise<void> {
  await delay(Math.min(200 * 2 ** attempt, backoffMsMax))
}

/** Ends when the work does, for better or worse, or after `ms` milliseconds. */
export async function within(ms: number, work: Promise<unknown>): Promise<void> {
  const bound = new AbortController()
  const done = work.then(
    () => {},
    () => {},
  )
  await Promise.race([done, delay(ms, undefined, { signal: bound.signal }).catch(() => {})])
  bound.abort()
}
