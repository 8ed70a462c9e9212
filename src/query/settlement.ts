// Outcomes for whoever has a receipt and its items: ingress, with a request that waits, and the
// endpoint that is asked later.
// In:  a receipt, its items, how long to wait.
// Out: outcomes once everything is persisted.
// Absent: HTTP.

import { setTimeout as delay } from 'node:timers/promises'
import type { Batch } from '../batch/batch.ts'
import { LedgerError, messageOf } from '../errors.ts'
import type { ReadDatabases } from '../ledger/read-databases.ts'
import { watchGapMsMax } from '../limits.ts'
import type { Logger } from '../observe/logger.ts'
import type { Receipt } from '../receipt/receipt.ts'
import type { Outcome, Settlement } from '../receipt/settlement.ts'
import { outcomesOf } from './outcomes.ts'
import type { Persistence, Verdict } from './persistence.ts'

export type Settled =
  { kind: 'settled'; outcomes: readonly Outcome[] } | Exclude<Verdict, { kind: 'persisted' }>

/** As `Persistence.wait`, and then with outcomes. */
export async function settle(
  databases: ReadDatabases,
  persistence: Persistence,
  request: { receipt: Receipt; batch: Batch; waitMs: number; signal: AbortSignal },
): Promise<Settled> {
  const { receipt, batch, waitMs, signal } = request
  const endsAt = performance.now() + waitMs
  const reads = databases.until(signal)
  for (;;) {
    const leftMs = Math.max(endsAt - performance.now(), 0)
    const verdict = await persistence.wait(receipt, leftMs, signal)
    if (verdict.kind !== 'persisted') return verdict
    const outcomes = await outcomesOf(reads, receipt, batch)
    if (outcomes !== undefined) return { kind: 'settled', outcomes }
    // Another server than the one that said so was asked, and is not there yet.
    if (leftMs === 0) return { kind: 'pending', partitions: receipt.records.size }
    await delay(watchGapMsMax)
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
