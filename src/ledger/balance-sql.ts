// The SQL that adds up accounts: roll-ups, late entries, and what is not rolled up yet.
// In:  accounts of one database, and the leaves of their buckets that are not rolled up entirely.
// Out: one SELECT, so one snapshot (rollups.ts says why the sum is exact in it).
// Absent: sending it (balances.ts).

import { formatUuid } from '../bytes/uuid.ts'
import type { SelectWith } from '../postgres/pool.ts'
import { bucketTable } from './buckets.ts'
import { asOf, utc } from './read-databases.ts'
import { lowestId } from './rollups.ts'

/** What has to be read entry by entry: ids from `from` on in a leaf, up to before `to`. */
export interface Stretch {
  /** Without its schema. */
  leaf: string
  from: string | null
  to: string | null
}

/** What is known of a bucket's leaves, and the state of the database in which it was so. */
export interface BucketLeaves {
  version: string
  stretches: readonly Stretch[]
}

export interface AskedBucket {
  bucket: number
  leaves: BucketLeaves
  accounts: readonly Uint8Array[]
}

/** A point in time to add up to, for one account, and the ranges that lie on both sides of it. */
export interface Moment {
  /** RFC 3339, UTC. */
  at: string
  straddling: readonly (Stretch & { range: number; isArchived: boolean })[]
}

/** A row of the answer. The first columns say whether what was assumed held in the snapshot. */
export interface BalanceRow {
  versions: string
  straddling: string
  nextOffset: string | number
  asOf: string
  accountId: string | null
  count: string
  balance: string
  /** An id, a space, a time. */
  first: string
  last: string
}

/**
 * One row at least, whatever is found.
 *
 * @param partition of the log, where it matters how far it is persisted
 */
export function balancesSql(
  asked: readonly AskedBucket[],
  moment?: Moment,
  partition?: number,
): SelectWith {
  const values: unknown[] = []
  const bind: Bind = (value, type) => `$${values.push(value)}::${type}`
  const all = asked.flatMap(({ accounts }) => accounts)
  const list = accountList(all, bind)
  const at = moment && bind(moment.at, 'timestamptz')
  const parts = [rollupsSql(list, at), deltasSql(list, at, moment?.straddling ?? [], bind)]
  for (const { leaves, accounts } of asked) {
    const own = asked.length === 1 ? list : accountList(accounts, bind)
    for (const stretch of [...leaves.stretches, ...(moment?.straddling ?? [])]) {
      parts.push(entriesSql(stretch, own, at, bind))
    }
  }
  const text = `
    SELECT known.versions, known.straddling, known."nextOffset", ${asOf} AS "asOf",
      sums.id AS "accountId", sums.count::text, sums.balance::text,
      ${shownEnd('sums.first')} AS first, ${shownEnd('sums.last')} AS last
    FROM (SELECT ${versionsSql(asked.map(({ bucket }) => bucket))} AS versions,
            ${at === undefined ? `''` : straddlingListSql(list, at)} AS straddling,
            ${nextOffsetSql(partition, bind)} AS "nextOffset") known
    LEFT JOIN (
      SELECT account_id AS id, sum(n) AS count, sum(amount) AS balance,
        min(a COLLATE "C") AS first, max(z COLLATE "C") AS last
      FROM (${parts.join(' UNION ALL ')}) parts GROUP BY account_id
    ) sums ON true`
  // The same again and again for one account; of other questions, each is another.
  return { text, values, isUsual: all.length === 1 && moment === undefined }
}

type Bind = (value: string, type: string) => string

function accountList(accounts: readonly Uint8Array[], bind: Bind): string {
  const ids = accounts.map((id) => formatUuid(id))
  return ids.length === 1
    ? `= ${bind(ids[0], 'uuid')}`
    : `= ANY (${bind(`{${ids.join(',')}}`, 'uuid[]')})`
}

/** Text that sorts by id: there is no such thing as the least of two columns. */
function end(id: string, at: string): string {
  return `${id}::text || ' ' || ${at}::text`
}

function shownEnd(column: string): string {
  return `left(${column}, 36) || ' ' || ${utc(`substr(${column}, 38)::timestamptz`)}`
}

function rollupsSql(accounts: string, at: string | undefined): string {
  const until = at === undefined ? '' : `AND latest <= ${at}`
  return `
    SELECT account_id, count AS n, sum AS amount, ${end('first_id', 'first_at')} AS a,
      ${end('last_id', 'last_at')} AS z
    FROM ledger.rollups WHERE account_id ${accounts} ${until}`
}

/** Those in ranges that are read entry by entry are among the entries. */
function deltasSql(
  accounts: string,
  at: string | undefined,
  straddling: readonly Stretch[],
  bind: Bind,
): string {
  const entry = end('d.id', 'd.created_at')
  const until = at === undefined ? '' : `AND d.created_at <= ${at}`
  const apart = straddling.map(
    (stretch) => `AND NOT (d.leaf = '${stretch.leaf}' AND ${boundsSql(stretch, 'd.id', bind)})`,
  )
  return `
    SELECT d.account_id, 1, d.amount, ${entry}, ${entry}
    FROM ledger.rollup_deltas d JOIN ledger.rollup_leaves l ON l.leaf = d.leaf
    WHERE d.account_id ${accounts} AND (l.covered_below IS NULL OR d.id < l.covered_below)
      ${until} ${apart.join(' ')}`
}

function entriesSql(
  stretch: Stretch,
  accounts: string,
  at: string | undefined,
  bind: Bind,
): string {
  const entry = end('id', 'created_at')
  const until = at === undefined ? '' : `AND created_at <= ${at}`
  return `
    SELECT account_id, 1, amount, ${entry}, ${entry}
    FROM ledger.${stretch.leaf}
    WHERE account_id ${accounts} AND ${boundsSql(stretch, 'id', bind)} ${until}`
}

/** The lower bound is always there, so that one that moves leaves the text as it is. */
function boundsSql({ from, to }: Stretch, id: string, bind: Bind): string {
  const low = `${id} >= ${bind(from ?? lowestId, 'uuid')}`
  return to === null ? low : `${low} AND ${id} < ${bind(to, 'uuid')}`
}

function versionsSql(buckets: readonly number[]): string {
  return `(SELECT coalesce(string_agg(concat(bucket, '=', version), ' ' ORDER BY bucket), '')
    FROM (SELECT bucket, sum(version) AS version FROM ledger.leaf_versions
          WHERE bucket IN (${buckets.join(', ')}) GROUP BY bucket) v)`
}

function nextOffsetSql(partition: number | undefined, bind: Bind): string {
  if (partition === undefined) return '-1'
  return `coalesce((SELECT next_offset FROM ledger.checkpoints
    WHERE partition = ${bind(String(partition), 'integer')}), -1)`
}

function straddlingListSql(accounts: string, at: string): string {
  return `(SELECT coalesce(string_agg(range::text, ' ' ORDER BY range), '') FROM ledger.rollups
    WHERE account_id ${accounts} AND earliest <= ${at} AND latest > ${at})`
}

/** The ranges of an account that lie on both sides of a moment. */
export function straddlingSql(accountId: Uint8Array, at: string): SelectWith {
  const text = `
    SELECT r.range, r.leaf, r.low AS "from", r.high AS "to", EXISTS (
      SELECT FROM ledger.archived_days d
      WHERE d.leaf = r.leaf AND d.archived_at IS NOT NULL) AS "isArchived"
    FROM ledger.rollups u JOIN ledger.rollup_ranges r ON r.range = u.range
    WHERE u.account_id = $1::uuid AND u.earliest <= $2::timestamptz AND u.latest > $2::timestamptz
    ORDER BY r.range`
  return { text, values: [formatUuid(accountId), at], isUsual: true }
}

/** What there is to read entry by entry in a bucket: a row a stretch, and one at least. */
export function stretchesSql(bucket: number): string {
  const parent = `'${bucketTable(bucket)}'::regclass`
  return `
    SELECT ${versionsSql([bucket])} AS version, s.leaf, s.below
    FROM (SELECT 1) one LEFT JOIN (
      SELECT c.relname::text AS leaf, l.covered_below AS below
      FROM (SELECT inhrelid FROM pg_inherits WHERE inhparent = ${parent}
            UNION ALL
            SELECT leaf.inhrelid FROM pg_inherits day JOIN pg_inherits leaf
              ON leaf.inhparent = day.inhrelid WHERE day.inhparent = ${parent}) i
      JOIN pg_class c ON c.oid = i.inhrelid AND c.relkind = 'r'
      LEFT JOIN ledger.rollup_leaves l ON l.leaf = c.relname
      WHERE l.leaf IS NULL OR l.covered_below IS NOT NULL
    ) s ON true ORDER BY s.leaf`
}
