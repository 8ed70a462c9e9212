// Entries that were refused after their acknowledgement: their key had another amount already.
// In:  filters and positions, validated.
// Out: conflicts in the order in which they were detected, over all databases.
// Absent: HTTP, detecting them (merge.ts).

import { mergedRows } from './merged.ts'
import { uuidLiteral, utc, type ReadDatabase, type ReadDatabases } from './read-databases.ts'

export interface Conflict {
  /**
   * Microseconds since 1970, account, id, amount: what a conflict is sorted by, and found again by.
   */
  key: string
  accountId: string
  id: string
  /** The one that was refused. */
  amount: string
  recordedAmount: string
  createdAt: string
  detectedAt: string
}

export interface PageOfConflicts {
  accountId?: Uint8Array
  /** RFC 3339, inclusive. */
  from?: string
  /** Exclusive. */
  to?: string
  isAscending: boolean
  /** The key of another conflict; only those past it. */
  past?: string
  limit: number
}

const detectedMicroseconds = 'trunc(extract(epoch FROM detected_at) * 1000000)::bigint'

/** Amounts sort as text once their sign bit is turned and they have as many digits as any. */
const amountText = `lpad((amount::numeric + 9223372036854775808)::text, 20, '0')`
const timeText = `lpad((${detectedMicroseconds})::text, 18, '0')`
const keyText = `concat_ws(' ', ${timeText}, account_id, id, ${amountText})`

/** What `key` is made of, checked before it goes into SQL. */
const uuidPattern = '([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})'
const keyPattern = new RegExp(`^(\\d{18}) ${uuidPattern} ${uuidPattern} (\\d{20})$`)

export function isConflictKey(text: string): boolean {
  const [, , , , amount = ''] = keyPattern.exec(text) ?? []
  return amount !== '' && BigInt(amount) < 2n ** 64n
}

/** `limit` conflicts at most. */
export function conflictsPage(
  databases: ReadDatabases,
  page: PageOfConflicts,
): Promise<Conflict[]> {
  const { accountId, from, to, isAscending, past, limit } = page
  const direction = isAscending ? 'ASC' : 'DESC'
  // Of the table: a bare name in ORDER BY would be the text of the same name that is selected.
  const columns = ['c.detected_at', 'c.account_id', 'c.id', 'c.amount']
  const conditions = [
    'true',
    ...(accountId ? [`account_id = ${uuidLiteral(accountId)}`] : []),
    ...(from === undefined ? [] : [`detected_at >= '${from}'`]),
    ...(to === undefined ? [] : [`detected_at < '${to}'`]),
    ...(past === undefined
      ? []
      : [`(${columns.join(', ')}) ${isAscending ? '>' : '<'} ${positionSql(past)}`]),
  ]
  const select = `
    SELECT ${keyText} AS key, account_id AS "accountId", id, amount::text,
      recorded_amount::text AS "recordedAmount", ${utc('created_at')} AS "createdAt",
      ${utc('detected_at')} AS "detectedAt"
    FROM ledger.conflicts c WHERE ${conditions.join(' AND ')}
    ORDER BY ${columns.map((column) => `${column} ${direction}`).join(', ')} LIMIT ${limit}`
  if (accountId === undefined) return mergedRows(databases, select, limit, isAscending)
  return databases.poolOf(accountId).then((own: ReadDatabase) => own.read<Conflict>(select))
}

function positionSql(key: string): string {
  const [, time, accountId, id, amount] = keyPattern.exec(key) ?? []
  const exact = BigInt(amount) - 2n ** 63n
  const at = `timestamptz 'epoch' + ${BigInt(time)} * interval '1 microsecond'`
  return `(${at}, '${accountId}'::uuid, '${id}'::uuid, '${exact}'::bigint)`
}
