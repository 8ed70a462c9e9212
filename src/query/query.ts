// The query role: its routes, and the connections they read through.
// In:  databases, in the order that divides the buckets.
// Out: routes for the HTTP server.
// Absent: connecting before the first request: a database that is away fails reads, not the start.

import type { Route } from '../http/http.ts'
import { LedgerReader, type LedgerReaderOptions } from '../ledger/queries.ts'
import { queryRoutes } from './routes.ts'

export interface Query {
  routes: Route[]
  close(): Promise<void>
}

export function openQuery(options: LedgerReaderOptions): Query {
  const reader = new LedgerReader(options)
  return { routes: queryRoutes(reader), close: () => reader.close() }
}
