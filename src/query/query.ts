// The query role: its routes, and the connections they read through.
// In:  databases, in the order that divides the buckets.
// Out: routes for the HTTP server.
// Absent: writing. A database that is away fails reads, not the start.

import { setTimeout as delay } from 'node:timers/promises'
import { messageOf } from '../errors.ts'
import type { Route } from '../http/http.ts'
import { ReadDatabases, type ReadDatabasesOptions } from '../ledger/read-databases.ts'
import { accountRoutes } from './accounts.ts'
import { entryRoutes } from './entries.ts'

export interface Query {
  routes: Route[]
  /** Why reads fail now; undefined when they do not. Looked at every two seconds. */
  unavailable(): string | undefined
  close(): Promise<void>
}

const watchIntervalMs = 2000

export function openQuery(options: ReadDatabasesOptions): Query {
  const databases = new ReadDatabases(options)
  const closing = new AbortController()
  let reason: string | undefined = 'the databases have not answered yet'
  const watch = async (): Promise<void> => {
    const { signal } = closing
    while (!signal.aborted) {
      const found = await databases.check().then(() => undefined, messageOf)
      if (found !== undefined && found !== reason) {
        options.logger.warn({ reason: found }, 'reads fail, retrying')
      }
      reason = found
      await delay(watchIntervalMs, undefined, { signal }).catch(() => undefined)
    }
  }
  const watching = watch()
  return {
    routes: [...accountRoutes(databases), ...entryRoutes(databases)],
    unavailable: () => reason,
    close: async () => {
      closing.abort()
      await watching
      await databases.close()
    },
  }
}
