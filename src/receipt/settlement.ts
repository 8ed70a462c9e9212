// What has become of the items of a receipt, as ingress asks it and the query role answers it.
// In:  a receipt, the very items it was given out for.
// Out: an outcome for each item, in their order, once all of them are persisted.
// Absent: PostgreSQL, HTTP.

import { formatUuid } from '../bytes/uuid.ts'
import type { Batch } from '../batch/batch.ts'
import { accountIdAt, entryBytes, idAt } from '../record/layout.ts'
import type { Receipt } from './receipt.ts'

/**
 * What became of one item.
 *
 * - `created`: it is in the ledger, and this request brought it.
 * - `duplicate`: it is in the ledger with this amount, and was before; or it stands further up in
 *   the same request.
 * - `conflict`: the ledger has another amount under its account_id and id, and that one stands.
 * - `unknown`: the ledger has nothing under its account_id and id any more.
 */
export type Outcome =
  { kind: 'created' | 'duplicate' | 'unknown' } | { kind: 'conflict'; recordedAmount: string }

/** Somebody who can look into the tables. */
export interface Settlement {
  /**
   * A place among those who wait. To be asked for before anything is taken, since there may be none
   * left.
   *
   * @throws LedgerError OVERLOADED
   */
  enter(): Place
}

export interface Place {
  /**
   * Resolves with an outcome for each item once all are persisted, or with undefined when the time
   * is over, the signal is aborted, or the tables cannot be read. Keeps its own copy of nothing:
   * the batch must stay as it is.
   */
  outcomes(
    receipt: Receipt,
    batch: Batch,
    waitMs: number,
    signal: AbortSignal,
  ): Promise<readonly Outcome[] | undefined>
  /** Leaves the place; to be called once. */
  leave(): void
}

/** A batch of its own: what a request was parsed into is overwritten by the next one. */
export function copyOf({ count, entries, partitions }: Batch): Batch {
  return {
    count,
    entries: entries.slice(0, count * entryBytes),
    partitions: partitions.slice(0, count),
  }
}

/** The items of a request with their outcomes, as they stand in a reply. */
export function outcomesJson({ entries }: Batch, outcomes: readonly Outcome[]): unknown[] {
  return outcomes.map((outcome, index) => {
    const at = index * entryBytes
    const item = {
      id: formatUuid(entries, at + idAt),
      account_id: formatUuid(entries, at + accountIdAt),
      outcome: outcome.kind,
    }
    return outcome.kind === 'conflict' ? { ...item, recorded_amount: outcome.recordedAmount } : item
  })
}
