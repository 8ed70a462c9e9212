// A request of POST /v1/transactions that waits until its items are persisted.
// In:  the items, then their receipt.
// Out: their outcomes, or nothing when the time is over.
// Absent: how they are found (query/settlement.ts), PostgreSQL.

import type { Batch } from '../batch/batch.ts'
import { LedgerError } from '../errors.ts'
import type { ByteBudget } from '../http/budget.ts'
import type { HttpRequest } from '../http/http.ts'
import { problem } from '../http/problem.ts'
import type { Receipts } from '../receipt/receipt.ts'
import { copyOf, outcomesJson, type Place, type Settlement } from '../receipt/settlement.ts'

/** The reply where nobody can look into the tables: before anything is taken. */
export const cannotSettle = problem(
  501,
  'Cannot wait here',
  'wait: this process takes transactions and has no database to look into. Leave wait out, and ' +
    'ask GET /v1/receipts/{receipt}?wait=… of a process with the query role; or give this one ' +
    '--database-url. Nothing of this request was taken.',
  { field: 'wait', expected: '0s, or none', found: 'a time to wait' },
)

export class Settling {
  private readonly place: Place
  private readonly budget: ByteBudget
  private readonly endsAt: number
  private readonly request: HttpRequest
  private batch: Batch | undefined
  private reserved = 0

  /** @throws LedgerError OVERLOADED when too many wait already */
  constructor(settlement: Settlement, budget: ByteBudget, waitMs: number, request: HttpRequest) {
    this.place = settlement.enter()
    this.budget = budget
    this.endsAt = performance.now() + waitMs
    this.request = request
  }

  /**
   * Copies the items, since they are looked up by their keys in the end.
   *
   * @throws LedgerError OVERLOADED when there is no room for them
   */
  keep(batch: Batch): void {
    const copied = copyOf(batch)
    if (!this.budget.take(copied.entries.length)) {
      const message = `More than ${this.budget.limit} bytes of requests are under way.`
      throw new LedgerError('OVERLOADED', `${message} Nothing of this one was taken.`)
    }
    this.reserved = copied.entries.length
    this.batch = copied
  }

  /** As they stand in the reply; undefined when the time is over. */
  async outcomes(receipts: Receipts, text: string): Promise<unknown[] | undefined> {
    const { batch, place, request } = this
    const decoded = receipts.decode(text)
    if (batch === undefined || decoded.kind !== 'receipt') return undefined
    const leftMs = Math.max(this.endsAt - performance.now(), 0)
    const found = await place.outcomes(decoded.receipt, batch, leftMs, request.signal)
    return found && outcomesJson(batch, found)
  }

  end(): void {
    this.place.leave()
    this.budget.give(this.reserved)
    this.reserved = 0
  }
}
