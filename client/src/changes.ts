// What is committed to the ledger, in order and without an end.
// In:  where to begin.
// Out: batches of entries, each with the cursor to go on from after it.
// Absent: the memory of a cursor: whoever reads keeps it beside what was made of the batch.

import type { CallOptions, Calls, Query } from './calls.ts'
import { ContractError, LedgerError } from './errors.ts'
import type { ChangesBatch } from './gen/contract.ts'
import { decodeJson } from './json.ts'
import { pause, pauseMs, retryDefaults } from './retry.ts'

type ChangesQuery = Query<'GET /v1/changes'>

export interface ChangesOptions extends CallOptions {
  /** `start`, `now` (the default), or the cursor of a batch. */
  after?: string
  /** Partitions of the log, such as `0-63`; all of them by default. Not beside a cursor. */
  partitions?: ChangesQuery['partitions']
  /** Ends once everything that is committed now has come. */
  follow?: boolean
}

/** The ledger says where it stands every few seconds; one that is silent longer is dead. */
const silenceMsMax = 60_000

/** Goes on after a cut from the last cursor, so that no batch is left out and none comes twice. */
export async function* changesOf(
  calls: Calls,
  { after = 'now', partitions, follow = true, signal }: ChangesOptions,
): AsyncGenerator<ChangesBatch> {
  let cursor = after
  let hasCursor = false
  for (let failures = 0; ;) {
    // A cursor has its partitions in it.
    const query = { after: cursor, follow, ...(hasCursor ? {} : { partitions }) }
    try {
      for await (const line of calls.lines('GET /v1/changes', { query, signal }, silenceMsMax)) {
        const value = decodeJson(line, 'ChangesBatch') as Partial<ChangesBatch>
        if (typeof value.cursor !== 'string') throw new ContractError(`No cursor in ${line}`)
        ;({ cursor } = value)
        hasCursor = true
        failures = 0
        if (value.transactions !== undefined) yield value as ChangesBatch
      }
      if (!follow) return
    } catch (error) {
      signal?.throwIfAborted()
      // Refused, or unavailable for longer than the client's patience. What is none of ours is a
      // connection that was cut.
      if (error instanceof LedgerError) throw error
    }
    failures += 1
    await pause(pauseMs(retryDefaults, failures, 0), signal)
  }
}
