// The SQL that adds up accounts: roll-ups, late entries, and what is not rolled up yet.
// In:  accounts of one database, and the leaves of their buckets that are not rolled up entirely.
// Out: one SELECT, so one snapshot (rollups.ts says why the sum is exact in it).
// Absent: sending it (balances.ts).

import { bucketTable } from './buckets.ts'
import { utc, uuidLiteral } from './read-databases.ts'

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
  /** A timestamptz expression. */
  at: string
  straddling: readonly (Stretch & { range: number })[]
}

/** A row of the answer. The first columns say whether what was assumed held in the snapshot. */
export interface BalanceRow {
  versions: string
  straddling: string
  asOf: string
  accountId: string | null
  count: string
  balance: string
  /** An id, a space, a time. */
  first: string
  last: string
}

/** One row at least, whatever is found. */
export function balancesSql(asked: readonly AskedBucket[], moment?: Moment): string {
  const all = accountList(asked.flatMap(({ accounts }) => accounts))
  const until = moment === undefined ? '' : `AND created_at <= ${moment.at}`
  const parts = [rollupsSql(all, moment), deltasSql(all, moment)]
  for (const { leaves, accounts } of asked) {
    const list = accountList(accounts)
    const own = moment?.straddling ?? []
    for (const stretch of [...leaves.stretches, ...own]) {
      parts.push(entriesSql(stretch, list, until))
    }
  }
  return `
    SELECT known.versions, known.straddling, ${utc('now()')} AS "asOf",
      sums.id AS "accountId", sums.count::text, sums.balance::text,
      ${shownEnd('sums.first')} AS first, ${shownEnd('sums.last')} AS last
    FROM (SELECT ${versionsSql(asked.map(({ bucket }) => bucket))} AS versions,
            ${moment === undefined ? `''` : straddlingListSql(all, moment.at)} AS straddling) known
    LEFT JOIN (
      SELECT account_id AS id, sum(n) AS count, sum(amount) AS balance,
        min(a COLLATE "C") AS first, max(z COLLATE "C") AS last
      FROM (${parts.join(' UNION ALL ')}) parts GROUP BY account_id
    ) sums ON true`
}

function accountList(accounts: readonly Uint8Array[]): string {
  return accounts.length === 1
    ? `= ${uuidLiteral(accounts[0])}`
    : `IN (${accounts.map(uuidLiteral).join(', ')})`
}

/** Text that sorts by id: there is no such thing as the least of two columns. */
function end(id: string, at: string): string {
  return `${id}::text || ' ' || ${at}::text`
}

function shownEnd(column: string): string {
  return `left(${column}, 36) || ' ' || ${utc(`substr(${column}, 38)::timestamptz`)}`
}

function rollupsSql(accounts: string, moment: Moment | undefined): string {
  const until = moment === undefined ? '' : `AND latest <= ${moment.at}`
  return `
    SELECT account_id, count AS n, sum AS amount, ${end('first_id', 'first_at')} AS a,
      ${end('last_id', 'last_at')} AS z
    FROM ledger.rollups WHERE account_id ${accounts} ${until}`
}

/** Those in ranges that are read entry by entry are among the entries. */
function deltasSql(accounts: string, moment: Moment | undefined): string {
  const entry = end('d.id', 'd.created_at')
  const until = moment === undefined ? '' : `AND d.created_at <= ${moment.at}`
  const apart = (moment?.straddling ?? []).map(
    (stretch) => `AND NOT (d.leaf = '${stretch.leaf}' ${boundsSql(stretch, 'd.id')})`,
  )
  return `
    SELECT d.account_id, 1, d.amount, ${entry}, ${entry}
    FROM ledger.rollup_deltas d JOIN ledger.rollup_leaves l ON l.leaf = d.leaf
    WHERE d.account_id ${accounts} AND (l.covered_below IS NULL OR d.id < l.covered_below)
      ${until} ${apart.join(' ')}`
}

function entriesSql(stretch: Stretch, accounts: string, until: string): string {
  const entry = end('id', 'created_at')
  return `
    SELECT account_id, count(*), sum(amount), min(${entry} COLLATE "C"), max(${entry} COLLATE "C")
    FROM ledger.${stretch.leaf} WHERE account_id ${accounts} ${boundsSql(stretch, 'id')} ${until}
    GROUP BY account_id`
}

function boundsSql({ from, to }: Stretch, id: string): string {
  const low = from === null ? '' : `AND ${id} >= '${from}'`
  return to === null ? low : `${low} AND ${id} < '${to}'`
}

function versionsSql(buckets: readonly number[]): string {
  return `(SELECT coalesce(string_agg(concat(bucket, '=', version), ' ' ORDER BY bucket), '')
    FROM (SELECT bucket, sum(version) AS version FROM ledger.leaf_versions
          WHERE bucket IN (${buckets.join(', ')}) GROUP BY bucket) v)`
}

function straddlingListSql(accounts: string, at: string): string {
  return `(SELECT coalesce(string_agg(range::text, ' ' ORDER BY range), '') FROM ledger.rollups
    WHERE account_id ${accounts} AND earliest <= ${at} AND latest > ${at})`
}

/** The ranges of an account that lie on both sides of a moment. */
export function straddlingSql(accountId: Uint8Array, at: string): string {
  return `
    SELECT r.range, r.leaf, r.low AS "from", r.high AS "to"
    FROM ledger.rollups u JOIN ledger.rollup_ranges r ON r.range = u.range
    WHERE u.account_id = ${uuidLiteral(accountId)} AND u.earliest <= ${at} AND u.latest > ${at}
    ORDER BY r.range`
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
