// Asks the tables for single keys, many at a time.
// In:  keys that must be there, and why.
// Out: findings where they are not, or are not as they should be.
// Absent: who asks (log-match.ts, bucket.ts).

import { bucketTable } from '../../ledger/buckets.ts'
import { sinceEpoch } from '../../ledger/checkpoint.ts'
import type { Moment } from '../../ledger/moment.ts'
import type { Connection } from '../../postgres/connection.ts'
import type { Finding } from './findings.ts'
import { keyText, timeText, type Key } from './texts.ts'

/** An entry of the log that made no row of its record. */
export interface EntryLookup extends Key {
  kind: 'entry'
  amount: bigint
  /** When the rows of its record were created; undefined where that is not known. */
  by: Moment | undefined
  /** Its record, and its place there. */
  where: string
}

/** A conflict, whose entry stands with another amount. */
export interface ConflictLookup extends Key {
  kind: 'conflict'
  amount: bigint
  recordedAmount: bigint
}

export type Lookup = EntryLookup | ConflictLookup

interface FoundRow {
  place: number
  amount: string | null
  at: string | null
  recorded: string | null
  refused: string | null
}

const lookupsAtOnce = 5000

/** In the transaction that is under way. */
export async function* lookUp(
  connection: Connection,
  bucket: number,
  lookups: readonly Lookup[],
): AsyncGenerator<Finding> {
  for (let start = 0; start < lookups.length; start += lookupsAtOnce) {
    const asked = lookups.slice(start, start + lookupsAtOnce)
    // As in ledger/merge.ts: only looking keys up is left to PostgreSQL.
    await connection.script('SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off')
    const rows = await connection.query<FoundRow>(
      `SELECT k.place::int, t.amount, ${sinceEpoch('t.created_at')} AS at,
         c.recorded_amount AS recorded, ${sinceEpoch('c.created_at')} AS refused
       FROM unnest($1::uuid[], $2::uuid[], $3::bigint[])
         WITH ORDINALITY AS k (account_id, id, amount, place)
       LEFT JOIN ${bucketTable(bucket)} t ON t.account_id = k.account_id AND t.id = k.id
       LEFT JOIN ledger.conflicts c
         ON c.account_id = k.account_id AND c.id = k.id AND c.amount = k.amount`,
      [
        asked.map(({ accountId }) => accountId),
        asked.map(({ id }) => id),
        asked.map(({ amount }) => String(amount)),
      ],
    )
    for (const row of rows) {
      const lookup = asked[row.place - 1]
      const finding = lookup.kind === 'entry' ? judgeEntry(lookup, row) : judgeConflict(lookup, row)
      if (finding) yield finding
    }
  }
}

function judgeEntry(lookup: EntryLookup, row: FoundRow): Finding | undefined {
  const { amount, by, where } = lookup
  const place = `${keyText(lookup)}, ${where}`
  const isYounger = (at: string | null): boolean => by !== undefined && Number(at) > by
  if (row.amount === null) {
    const expected = `a row of amount ${amount}`
    return { check: 'row missing', where: place, expected, found: 'none' }
  }
  if (BigInt(row.amount) === amount) {
    if (!isYounger(row.at)) return undefined
    const expected = `a row created by ${timeText(by ?? NaN)}`
    const found = `one created at ${timeText(Number(row.at))}`
    return { check: 'row time', where: place, expected, found }
  }
  const expected = `a conflict of amount ${amount} beside the row of ${row.amount}`
  if (row.recorded === null) {
    return { check: 'conflict missing', where: place, expected, found: 'none' }
  }
  if (!isYounger(row.refused)) return undefined
  const found = `one created at ${timeText(Number(row.refused))}`
  return { check: 'conflict time', where: place, expected: `${expected} from then`, found }
}

function judgeConflict(lookup: ConflictLookup, row: FoundRow): Finding | undefined {
  const { amount, recordedAmount } = lookup
  const where = `${keyText(lookup)}, conflict of amount ${amount}`
  const expected = `a row of amount ${recordedAmount}, another one`
  if (row.amount !== null && BigInt(row.amount) === recordedAmount && amount !== recordedAmount) {
    return undefined
  }
  const found = row.amount === null ? 'no row' : `a row of ${row.amount}`
  return { check: 'conflict row', where, expected, found }
}
