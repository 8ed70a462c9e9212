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
import { createReceipts } from './receipt.ts'
import { keyFromText, keyInDirectory } from './receipt-key.ts'
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
  /** Undefined: a key kept in `dataDir`. */
  receiptKey: string | undefined
  dataDir: string
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

export async function openIngress(options: IngressOptions): Promise<Ingress> {
  const { log, doubt, budget, backlog, lingerMs, receiptKey, dataDir, logger } = options
  const { decodeThreads: threads } = options
  const key = receiptKey === undefined ? await keyInDirectory(dataDir) : keyFromText(receiptKey)
  const appender = new Appender({ log, lingerMs, budget, backlog })
  const decoder = threads > 0 ? new DecodePool({ threads, logger }) : undefined
  const receipts = createReceipts(key)
  const routes = ingressRoutes({ log, doubt, appender, decoder, receipts, logger })
  const stop = async (): Promise<void> => {
    await decoder?.close()
    await appender.stop()
  }
  return { routes, stop }
}
