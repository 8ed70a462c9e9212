// The ingress role, composed: what it answers, and how it ends.
// In:  a log, the settings of the role.
// Out: routes for the HTTP server; a stop that leaves nothing unanswered.
// Absent: the HTTP server, PostgreSQL.

import type { ByteBudget } from '../http/budget.ts'
import type { Route } from '../http/http.ts'
import type { Log } from '../log/log.ts'
import type { Logger } from '../observe/logger.ts'
import { Appender } from './append.ts'
import type { Backlog } from './backlog.ts'
import { DecodePool } from './decode-pool.ts'
import type { Receipts } from '../receipt/receipt.ts'
import type { Settlement } from '../receipt/settlement.ts'
import { ingressRoutes } from './routes.ts'

export interface IngressOptions {
  log: Log
  /** Why the log is not to be appended to, besides its own reasons. */
  doubt: () => string | undefined
  /** The one the HTTP server has as well. */
  budget: ByteBudget
  /** Where the workers share this process. */
  backlog: Backlog | undefined
  lingerMs: number
  /** 0: bodies are read on the main thread, and the server need not share them. */
  decodeThreads: number
  receipts: Receipts
  /** Where this process can look into the tables. */
  settlement: Settlement | undefined
  logger: Logger
}

export interface Ingress {
  readonly routes: readonly Route[]
  /**
   * Refuses what is new, makes durable what was taken, and resolves when the last of it has
   * settled.
   */
  stop(): Promise<void>
}

export function openIngress(options: IngressOptions): Ingress {
  const { log, doubt, budget, backlog, lingerMs, receipts, settlement, logger } = options
  const { decodeThreads: threads } = options
  const appender = new Appender({ log, lingerMs, budget, backlog })
  const decoder = threads > 0 ? new DecodePool({ threads, logger }) : undefined
  const parts = { log, doubt, appender, budget, decoder, receipts, settlement, logger }
  const routes = ingressRoutes(parts)
  const stop = async (): Promise<void> => {
    await decoder?.close()
    await appender.stop()
  }
  return { routes, stop }
}
