// Rolls up all that is due, at once.
// In:  a connection.
// Out: roll-ups as worker processes would make them in time.
// Absent: waiting for anything.

import type { Connection } from '../postgres/connection.ts'
import { Roller } from '../worker/roller.ts'

/** Returns how many leaves. */
export async function rollUpRest(connection: Connection): Promise<number> {
  const { signal } = new AbortController()
  const logger = { debug: () => undefined }
  const roller = new Roller({ logger, isBehind: () => false, restPerWork: 0, signal })
  let added = 0
  for (;;) {
    const done = await roller.turn(connection)
    if (done === 0) return added
    added += done
  }
}
