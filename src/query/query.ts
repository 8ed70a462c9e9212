// The query role: its routes, and the connections they read through.
// In:  databases, in the order that divides the buckets.
// Out: routes for the HTTP server.
// Absent: writing. A database that is away fails reads, not the start.

import { setTimeout as delay } from 'node:timers/promises'
import { messageOf } from '../errors.ts'
import type { Route } from '../http/http.ts'
import { LedgerReader, type LedgerReaderOptions } from '../ledger/queries.ts'
import { queryRoutes } from './routes.ts'

export interface Query {
  routes: Route[]
  /** Why reads fail now; undefined when they do not. Looked at every two seconds. */
  unavailable(): string | undefined
  close(): Promise<void>
}

const watchIntervalMs = 2000

export function openQuery(options: LedgerReaderOptions): Query {
  const reader = new LedgerReader(options)
  const closing = new AbortController()
  let reason: string | undefined = 'the databases have not answered yet'
  const watch = async (): Promise<void> => {
    const { signal } = closing
    while (!signal.aborted) {
      const found = await reader.check().then(() => undefined, messageOf)
      if (found !== undefined && found !== reason) {
        options.logger.warn({ reason: found }, 'reads fail, retrying')
      }
      reason = found
      await delay(watchIntervalMs, undefined, { signal }).catch(() => undefined)
    }
  }
  const watching = watch()
  return {
    routes: queryRoutes(reader),
    unavailable: () => reason,
    close: async () => {
      closing.abort()
      await watching
      await reader.close()
    },
  }
}
