// Entries of an account, in the order of their ids.
// In:  account and entry ids, validated.
// Out: entries; amounts and balances as exact decimal text.
// Absent: HTTP, cursors as clients see them (query/), the log.

import assert from 'node:assert/strict'
import { formatUuid } from '../bytes/uuid.ts'
import {
  archivedDaysSql,
  archivedError,
  archivedSpans,
  type ArchivedDay,
  type ArchivedSpan,
} from './archived.ts'
import { balanceBeforeSql } from './balance-before.ts'
import { uuidLiteral, utc, type ReadDatabases } from './read-databases.ts'

export interface AccountEntry {
  /** Lower-case UUID. */
  id: string
  amount: string
  /** RFC 3339, UTC, when the entry was accepted into the log. */
  createdAt: string
  /** Sum of the account's entries up to this one by id; where it was asked for. */
  runningBalance?: string
}

export interface PageOfEntries {
  accountId: Uint8Array
  order: 'asc' | 'desc'
  /** Ids from this one on. */
  from?: Uint8Array
  /** Ids below this one. */
  to?: Uint8Array
  /** The page that follows this id in the order, or the one before it. */
  beside?: { id: Uint8Array; isBackward: boolean }
  limit: number
  withBalance: boolean
}

export interface EntryPage {
  entries: AccountEntry[]
  /** There are more the way that was gone. */
  hasMore: boolean
  /** Ranges of ids, within what was asked for, of which the account has entries in files. */
  archived: ArchivedSpan[]
}

/** At most `limit` entries, in the order asked for. */
export async function accountEntries(
  databases: ReadDatabases,
  page: PageOfEntries,
): Promise<EntryPage> {
  const { accountId, order, beside, limit, withBalance } = page
  assert(Number.isSafeInteger(limit) && limit > 0)
  const isBackward = beside?.isBackward ?? false
  const isAscending = (order === 'asc') !== isBackward
  const pool = await databases.poolOf(accountId)
  const lowest = '(SELECT id FROM page ORDER BY id LIMIT 1)'
  const before = withBalance ? `${balanceBeforeSql(accountId, lowest)}::text` : 'NULL'
  // One more than asked for tells whether there is a next page.
  const select = `
    WITH page AS (
      SELECT id, amount, created_at FROM ledger.transactions
      WHERE account_id = ${uuidLiteral(accountId)} ${boundsOf(page, isAscending)}
      ORDER BY id ${isAscending ? 'ASC' : 'DESC'} LIMIT ${limit + 1})
    SELECT id, amount::text, ${utc('created_at')} AS "createdAt", ${before} AS before
    FROM page ORDER BY id ${isAscending ? 'ASC' : 'DESC'}`
  const found = await pool.snapshot([select, archivedDaysSql(accountId)])
  const rows = found[0] as (AccountEntry & { before: string | null })[]
  const days = found[1] as ArchivedDay[]
  const entries = rows.map(({ id, amount, createdAt }): AccountEntry => ({ id, amount, createdAt }))
  const balance = rows.at(0)?.before
  if (typeof balance === 'string')
    addBalances(isAscending ? entries : entries.toReversed(), balance, days)
  const hasMore = entries.length > limit
  const shown = entries.slice(0, limit)
  const archived = archivedSpans(days, page)
  return { entries: isBackward ? shown.reverse() : shown, hasMore, archived }
}

/** Rejects with ARCHIVED where it may be in a file. */
export async function accountEntry(
  databases: ReadDatabases,
  accountId: Uint8Array,
  id: Uint8Array,
): Promise<AccountEntry | undefined> {
  const pool = await databases.poolOf(accountId)
  const select = `
    SELECT id, amount::text, ${utc('created_at')} AS "createdAt" FROM ledger.transactions
    WHERE account_id = ${uuidLiteral(accountId)} AND id = ${uuidLiteral(id)}`
  const found = await pool.snapshot([select, archivedDaysSql(accountId)])
  const entry = found[0].at(0) as AccountEntry | undefined
  const text = formatUuid(id)
  const days = (found[1] as ArchivedDay[]).filter(({ low, high }) => low <= text && text < high)
  if (entry === undefined && days.length > 0) throw archivedError(accountId, archivedSpans(days))
  return entry
}

export async function hasEntries(databases: ReadDatabases, accountId: Uint8Array) {
  const pool = await databases.poolOf(accountId)
  const rows = await pool.read<{ found: boolean }>(`
    SELECT EXISTS (SELECT FROM ledger.transactions
      WHERE account_id = ${uuidLiteral(accountId)})
      OR EXISTS (SELECT FROM ledger.rollups WHERE account_id = ${uuidLiteral(accountId)}) AS found`)
  return rows[0].found
}

/** SQL for what a range of ids leaves out. */
export function spanSql({ from, to }: Pick<PageOfEntries, 'from' | 'to'>): string {
  const low = from === undefined ? '' : `AND id >= ${uuidLiteral(from)}`
  return to === undefined ? low : `${low} AND id < ${uuidLiteral(to)}`
}

function boundsOf(page: PageOfEntries, isAscending: boolean): string {
  const { beside } = page
  if (beside === undefined) return spanSql(page)
  return `${spanSql(page)} AND id ${isAscending ? '>' : '<'} ${uuidLiteral(beside.id)}`
}

/** @param days archived ones, ascending: their entries count where their ids are lower */
function addBalances(
  ascending: readonly AccountEntry[],
  before: string,
  days: readonly ArchivedDay[],
): void {
  let balance = BigInt(before)
  let next = 0
  for (const entry of ascending) {
    for (; next < days.length && days[next].low <= entry.id; next++) {
      balance += BigInt(days[next].sum)
    }
    balance += BigInt(entry.amount)
    entry.runningBalance = String(balance)
  }
}
