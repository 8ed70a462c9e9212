// Outcomes for whoever has a receipt and its items: ingress, with a request that waits, and the
// endpoint that is asked later.
// In:  a receipt, its items, how long to wait.
// Out: outcomes once everything is persisted.
// Absent: HTTP.

import type { Batch } from '../batch/batch.ts'
import { LedgerError, messageOf } from '../errors.ts'
import type { ReadDatabases } from '../ledger/read-databases.ts'
import type { Logger } from '../observe/logger.ts'
import type { Receipt } from '../receipt/receipt.ts'
import type { Outcome, Settlement } from '../receipt/settlement.ts'
import { outcomesOf } from './outcomes.ts'
import type { Persistence, Verdict } from './persistence.ts'

export type Settled =
  { kind: 'settled'; outcomes: readonly Outcome[] } | Exclude<Verdict, { kind: 'persisted' }>

/**
 * A crash of PostgreSQL may take the last commits back, which come again from the log; so an item
 * that is missing is looked for once more when everything is said to be there again.
 */
export async function settle(
  databases: ReadDatabases,
  persistence: Persistence,
  request: { receipt: Receipt; batch: Batch; waitMs: number; signal: AbortSignal },
): Promise<Settled> {
  const { receipt, batch, waitMs, signal } = request
  const endsAt = performance.now() + waitMs
  for (let isLast = false; ; isLast = true) {
    const leftMs = Math.max(endsAt - performance.now(), 0)
    const verdict = await persistence.wait(receipt, leftMs, signal)
    if (verdict.kind !== 'persisted') return verdict
    const outcomes = await outcomesOf(databases, receipt, batch)
    if (isLast || !outcomes.some(({ kind }) => kind === 'unknown')) {
      return { kind: 'settled', outcomes }
    }
  }
}

/** For ingress, whose items are durable whatever happens here: no failure of this is one of its. */
export function settlementOf(
  databases: ReadDatabases,
  persistence: Persistence,
  logger: Pick<Logger, 'warn'>,
): Settlement {
  return {
    enter() {
      const leave = persistence.enter()
      return {
        leave,
        async outcomes(receipt, batch, waitMs, signal) {
          try {
            const request = { receipt, batch, waitMs, signal }
            const settled = await settle(databases, persistence, request)
            return settled.kind === 'settled' ? settled.outcomes : undefined
          } catch (error) {
            const isExpected = error instanceof LedgerError && error.reaction === 'retry'
            if (!isExpected) logger.warn({ reason: messageOf(error) }, 'no outcomes can be read')
            return undefined
          }
        },
      }
    },
  }
}
