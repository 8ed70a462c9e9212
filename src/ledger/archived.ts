// What reads must know of days whose entries are in files.
// In:  an account, or an id.
// Out: of which days entries are archived, how many, and what they add up to; errors that say so.
// Absent: archiving (archive.ts).

import { LedgerError } from '../errors.ts'
import { formatUuid } from '../bytes/uuid.ts'
import type { Connection } from '../postgres/connection.ts'
import { sinceEpoch } from './checkpoint.ts'
import type { Moment } from './moment.ts'
import { uuidLiteral, type ReadDatabases } from './read-databases.ts'

/** Entries of an account with ids of a day that are in files. */
export interface ArchivedDay {
  /** Ids of the day are not below it, and below `high`. */
  low: string
  high: string
  count: string
  sum: string
}

/** A range of time by ids, days that adjoin made one. */
export interface ArchivedSpan {
  /** RFC 3339, UTC. */
  from: string
  /** Exclusive. */
  to: string
  count: string
}

/** Answers with the ArchivedDays of an account, ascending; quick where nothing is archived. */
export function archivedDaysSql(accountId: Uint8Array): string {
  return `
    SELECT d.low, d.high, u.count::text, u.sum::text
    FROM ledger.rollups u JOIN ledger.rollup_ranges r USING (range)
    JOIN ledger.archived_days d ON d.leaf = r.leaf AND d.archived_at IS NOT NULL
    WHERE EXISTS (SELECT FROM ledger.archived_days) AND u.account_id = ${uuidLiteral(accountId)}
    ORDER BY d.low`
}

/** Those that a range of ids meets. */
export function archivedSpans(
  days: readonly ArchivedDay[],
  { from, to }: { from?: Uint8Array; to?: Uint8Array } = {},
): ArchivedSpan[] {
  const [lowest, past] = [from && formatUuid(from), to && formatUuid(to)]
  const spans: ArchivedSpan[] = []
  for (const { low, high, count } of days) {
    if ((lowest !== undefined && high <= lowest) || (past !== undefined && low >= past)) continue
    const [start, end] = [timeOf(low), timeOf(high)]
    const last = spans.at(-1)
    if (last?.to === start) {
      last.to = end
      last.count = String(BigInt(last.count) + BigInt(count))
    } else {
      spans.push({ from: start, to: end, count })
    }
  }
  return spans
}

/** The first 48 bits of an id, where UUIDv7 has its Unix milliseconds. */
function timeOf(id: string): string {
  return new Date(Number.parseInt(id.slice(0, 8) + id.slice(9, 13), 16)).toISOString()
}

export function archivedError(accountId: Uint8Array, spans: readonly ArchivedSpan[]): LedgerError {
  const ranges = spans.map(({ from, to }) => `${from} to ${to}`).join(', ')
  const message = `Account ${formatUuid(accountId)}: entries with ids of ${ranges} are archived.`
  return new LedgerError('ARCHIVED', `${message} They can be read once they are restored.`)
}

/** Rejects with ARCHIVED where a range of an account's ids is not all there, in a snapshot. */
export async function expectUnarchived(
  connection: Connection,
  accountId: Uint8Array,
  span: { from?: Uint8Array; to?: Uint8Array },
): Promise<void> {
  const days = await connection.query<ArchivedDay>(archivedDaysSql(accountId))
  const spans = archivedSpans(days, span)
  if (spans.length > 0) throw archivedError(accountId, spans)
}

/** Rejects with ARCHIVED where any account's entry of an id may be in a file. */
export async function expectIdUnarchived(databases: ReadDatabases, id: Uint8Array): Promise<void> {
  const all = await databases.all()
  const select = `
    SELECT day::text FROM ledger.archived_days
    WHERE archived_at IS NOT NULL AND low <= ${uuidLiteral(id)} AND high > ${uuidLiteral(id)}
    LIMIT 1`
  const found = await Promise.all(all.map((database) => database.read<{ day: string }>(select)))
  const [first] = found.flat()
  if (first === undefined) return
  const message = `Entries with ids of ${first.day} are archived, as ${formatUuid(id)} would be.`
  throw new LedgerError('ARCHIVED', `${message} They can be read once they are restored.`)
}

/** The last created_at of what is archived of each bucket. */
export async function archivedUntil(databases: ReadDatabases): Promise<Map<number, Moment>> {
  const all = await databases.all()
  const select = `
    SELECT bucket, ${sinceEpoch('max(latest)')} AS latest FROM ledger.archived_days
    WHERE archived_at IS NOT NULL GROUP BY bucket`
  type Row = { bucket: number; latest: string }
  const rows = await Promise.all(all.map((database) => database.read<Row>(select)))
  return new Map(rows.flat().map(({ bucket, latest }) => [bucket, Number(latest)]))
}
