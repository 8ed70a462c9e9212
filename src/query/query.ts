// The query role: its routes, and the connections they read through.
// In:  servers: primaries, in the order that divides the buckets, and replicas.
// Out: routes for the HTTP server.
// Absent: writing. A database that is away fails reads, not the start.

import { setTimeout as delay } from 'node:timers/promises'
import { messageOf } from '../errors.ts'
import type { Route } from '../http/http.ts'
import type { ByteBudget } from '../http/budget.ts'
import { ReadDatabases } from '../ledger/read-databases.ts'
import type { ReadServersOptions } from '../ledger/read-servers.ts'
import type { Receipts } from '../receipt/receipt.ts'
import type { Settlement } from '../receipt/settlement.ts'
import { accountRoutes } from './accounts.ts'
import { conflictRoutes } from './conflicts.ts'
import { changesRoutes } from './changes.ts'
import { entryRoutes } from './entries.ts'
import { exportRoutes } from './export.ts'
import { Persistence } from './persistence.ts'
import { quarantineRoutes } from './quarantine.ts'
import { receiptRoutes } from './receipts.ts'
import { settlementOf } from './settlement.ts'
import { transferRoutes } from './transfers.ts'

export interface QueryOptions extends ReadServersOptions {
  /** Undefined: no key to read them with. */
  receipts: Receipts | undefined
  /** The one the HTTP server has as well. */
  budget: ByteBudget
}

export interface Query {
  routes: Route[]
  /** What ingress asks where it shares the process. */
  settlement: Settlement
  /** Why reads fail now; undefined when they do not. Looked at every two seconds. */
  unavailable(): string | undefined
  /** Answers all who wait for something to be persisted with what is so far. */
  endWaits(): void
  /** What is not as it should be with the servers, though reads may go on. */
  remarks(): string[]
  close(): Promise<void>
}

const watchIntervalMs = 2000

export function openQuery(options: QueryOptions): Query {
  const { receipts, budget, logger } = options
  const databases = new ReadDatabases(options)
  const persistence = new Persistence(databases)
  const closing = new AbortController()
  let reason: string | undefined = 'the databases have not answered yet'
  const watch = async (): Promise<void> => {
    const { signal } = closing
    let said = ''
    while (!signal.aborted) {
      reason = await databases.check().then(() => undefined, messageOf)
      const standings = databases.states.map(({ standing }) => standing).join()
      if (standings !== said && !signal.aborted) {
        said = standings
        if (reason !== undefined) logger.warn({ reason }, 'reads fail, retrying')
        else if (remarks().length > 0) logger.warn({ servers: remarks() }, 'reads go on')
      }
      await delay(watchIntervalMs, undefined, { signal }).catch(() => undefined)
    }
  }
  const remarks = (): string[] =>
    databases.states.flatMap(({ reason: why }) => (why === undefined ? [] : [why]))
  const watching = watch()
  return {
    routes: [
      ...accountRoutes({ databases, persistence, receipts }),
      // Before that of an entry, whose id `export` would be.
      ...exportRoutes(databases),
      ...entryRoutes(databases),
      ...transferRoutes(databases),
      ...conflictRoutes(databases),
      ...quarantineRoutes(databases),
      ...changesRoutes(databases),
      ...receiptRoutes({ databases, persistence, receipts, budget }),
    ],
    settlement: settlementOf(databases, persistence, logger),
    unavailable: () => reason,
    endWaits: () => persistence.end(),
    remarks,
    close: async () => {
      closing.abort()
      await watching
      await databases.close()
    },
  }
}
