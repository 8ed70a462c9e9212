// Takes the entries of closed days out of the tables, and brings them back.
// In:  closed days, and what their files are known to hold.
// Out: days without entries whose balances stay as they are; days as they were.
// Absent: files (commands/archive/), closing days (archive-days.ts).

/*
 * Of an archived day one table is left, which is empty, closed, and rolled up as a whole: the
 * roll-ups of its entries stay, one for each account, so balances need nothing but them. Everything
 * about a day changes in one transaction: whoever reads sees its entries or its roll-ups.
 */

import { setTimeout as delay } from 'node:timers/promises'
import { LedgerError } from '../errors.ts'
import type { Connection } from '../postgres/connection.ts'
import { sqlState } from '../postgres/retry.ts'
import { crashPoint } from '../testing/crash.ts'
import {
  archiveLock,
  beginSql,
  hasRows,
  isLocked,
  leavesOfDay,
  mergeHeld,
  patiently,
  tableOfDay,
  type BucketDay,
  type DayLeaf,
} from './archive-days.ts'
import { bucketTable, defaultLeafTable, leafIndexesSql, raiseLeafVersionSql } from './buckets.ts'
import { leafLock } from './leaves.ts'
import type { MergeCounts } from './merge.ts'
import { combinedSql, lowestId, sumSql } from './rollups.ts'

/** What the files of a day hold. */
export interface ArchivedContent {
  closing: string
  entries: string
  sum: string
  /** The last created_at, as PostgreSQL writes it; null where there are no entries. */
  latest: string | null
  /** SHA-256 of the manifest. */
  manifest: string
}

/**
 * Drops the entries of a closed day. Rejects, and changes nothing, when they are not exactly as
 * many, or do not add up to exactly as much, as its files hold.
 */
export async function dropDay(
  connection: Connection,
  day: BucketDay,
  content: ArchivedContent,
): Promise<void> {
  await patiently(connection, tableOfDay(day), async () => {
    const { bucket } = day
    await connection.script(`${beginSql}
      SELECT pg_advisory_xact_lock(${archiveLock}, ${bucket});
      LOCK TABLE ledger.rollup_leaves IN SHARE ROW EXCLUSIVE MODE`)
    const leaves = await leavesOfDay(connection, day)
    const rest = leaves.find(({ bounds }) => bounds === undefined)?.leaf
    const { count } = await connection.execute(
      `UPDATE ledger.archived_days SET archived_at = now(), entries = $4, sum = $5, latest = $6,
         manifest = $7
       WHERE bucket = $1 AND day = $2 AND closing = $3 AND archived_at IS NULL`,
      [bucket, day.day, content.closing, content.entries, content.sum, content.latest].concat(
        content.manifest,
      ),
    )
    if (rest === undefined || count !== 1) {
      throw new LedgerError(
        'LAYOUT_MISMATCH',
        `${tableOfDay(day)}: expected it closed as ${content.closing}, found it changed.`,
      )
    }
    await rollUpDay(connection, day, leaves, rest, content)
    await connection.execute('SAVEPOINT taking')
    await whenFree(connection, async () => {
      await connection.script(`SELECT pg_advisory_xact_lock(${leafLock}, ${bucket})`)
      for (const { leaf } of leaves) {
        if (leaf === rest) continue
        await connection.script(`
          ALTER TABLE ${tableOfDay(day)} DETACH PARTITION ledger.${leaf};
          DROP TABLE ledger.${leaf}`)
      }
      await connection.script(`TRUNCATE ledger.${rest};
        ${raiseLeafVersionSql(bucket, 'leaves')} ${raiseLeafVersionSql(bucket, 'rollups')}`)
    })
    crashPoint('before-archive-commit')
    await connection.execute('COMMIT')
    crashPoint('after-archive-commit')
  })
}

/** One range for the whole day, made from its entries, whatever there was before. */
async function rollUpDay(
  connection: Connection,
  day: BucketDay,
  leaves: readonly DayLeaf[],
  rest: string,
  content: ArchivedContent,
): Promise<void> {
  await forgetRollups(
    connection,
    leaves.map(({ leaf }) => leaf),
  )
  const newRange = async (): Promise<number> => {
    const made = await connection.queryOne<{ range: number }>(
      `INSERT INTO ledger.rollup_ranges (leaf, low, high, accounts) VALUES ($1, $2, NULL, 0)
       RETURNING range`,
      [rest, lowestId],
    )
    return made?.range ?? NaN
  }
  const parts: number[] = []
  for (const { leaf } of leaves) {
    const range = await newRange()
    await connection.execute(sumSql(leaf, lowestId, undefined), [range])
    parts.push(range)
  }
  const whole = await newRange()
  await connection.execute(
    `WITH gone AS (DELETE FROM ledger.rollups WHERE range = ANY ($2::int[]) RETURNING *)
     INSERT INTO ledger.rollups (account_id, range, count, sum,
       first_id, first_at, last_id, last_at, earliest, latest)
     SELECT account_id, $1::int, ${combinedSql} FROM gone GROUP BY account_id`,
    [whole, parts],
  )
  await connection.execute('DELETE FROM ledger.rollup_ranges WHERE range = ANY ($1::int[])', [
    parts,
  ])
  const found = await connection.queryOne<{ entries: string; sum: string }>(
    `WITH sums AS (
       SELECT count(*) AS accounts, coalesce(sum(count), 0)::text AS entries,
         coalesce(sum(sum), 0)::text AS sum FROM ledger.rollups WHERE range = $1
     ), noted AS (
       UPDATE ledger.rollup_ranges SET accounts = sums.accounts FROM sums WHERE range = $1
     ), leaf AS (
       INSERT INTO ledger.rollup_leaves (leaf, bucket) VALUES ($2, $3)
     ) SELECT entries, sum FROM sums`,
    [whole, rest, day.bucket],
  )
  if (found?.entries === content.entries && found.sum === content.sum) return
  throw new LedgerError(
    'LAYOUT_MISMATCH',
    `${tableOfDay(day)}: expected ${content.entries} entries that add up to ${content.sum}, as ` +
      `its files hold, found ${found?.entries} that add up to ${found?.sum}. Nothing is dropped.`,
  )
}

async function forgetRollups(connection: Connection, leaves: readonly string[]): Promise<void> {
  await connection.execute(
    `WITH old AS (DELETE FROM ledger.rollup_ranges WHERE leaf = ANY ($1) RETURNING range),
     deltas AS (DELETE FROM ledger.rollup_deltas WHERE leaf = ANY ($1)),
     states AS (DELETE FROM ledger.rollup_leaves WHERE leaf = ANY ($1))
     DELETE FROM ledger.rollups WHERE range IN (SELECT range FROM old)`,
    [leaves],
  )
}

const attempts = 100

/** Goes back to the savepoint `taking` and tries again as long as something is locked. */
async function whenFree(connection: Connection, change: () => Promise<void>): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      await change()
      return
    } catch (error) {
      if (connection.lost !== undefined || !isLocked(error) || attempt === attempts) throw error
    }
    await connection.execute('ROLLBACK TO taking')
    await delay(100 + 200 * Math.random())
  }
}

/** A leaf to be brought back. */
export interface RestoredLeaf {
  leaf: string
  bounds: { low: string; high: string } | undefined
  /** Fills an empty table of the leaf's columns, and sees to it that it holds what it should. */
  load: (table: string) => Promise<void>
}

/**
 * Brings a day back: one that is archived here with the same closing, or one that is not here or
 * has no entries. Everything or nothing.
 */
export async function restoreDay(
  connection: Connection,
  day: BucketDay,
  closing: string,
  leaves: readonly RestoredLeaf[],
): Promise<MergeCounts> {
  const { bucket } = day
  const table = tableOfDay(day)
  return patiently(connection, table, async () => {
    await connection.script(`${beginSql}
      SET LOCAL idle_in_transaction_session_timeout = '10min';
      SELECT pg_advisory_xact_lock(${archiveLock}, ${bucket})`)
    await expectRestorable(connection, day, closing)
    for (const { leaf, load } of leaves) {
      const aside = `ledger.restoring_${leaf}`
      await connection.script(`CREATE TABLE ${aside} (LIKE ${defaultLeafTable(bucket)})`)
      await load(aside)
      await connection.script(leafIndexesSql(aside))
    }
    crashPoint('before-restore-attached')
    await connection.execute('SAVEPOINT taking')
    await whenFree(connection, async () => {
      await connection.script(`
        LOCK TABLE ledger.rollup_leaves IN SHARE ROW EXCLUSIVE MODE;
        SELECT pg_advisory_xact_lock(${leafLock}, ${bucket})`)
      await replaceLeaves(connection, day, leaves)
    })
    await connection.execute('DELETE FROM ledger.archived_days WHERE bucket = $1 AND day = $2', [
      bucket,
      day.day,
    ])
    const merged = await mergeHeld(connection, day)
    await connection.script(
      raiseLeafVersionSql(bucket, 'leaves') + raiseLeafVersionSql(bucket, 'rollups'),
    )
    crashPoint('before-restore-commit')
    await connection.execute('COMMIT')
    return merged
  })
}

async function expectRestorable(
  connection: Connection,
  day: BucketDay,
  closing: string,
): Promise<void> {
  const known = await connection.queryOne<{ closing: string; isArchived: boolean }>(
    `SELECT closing, archived_at IS NOT NULL AS "isArchived" FROM ledger.archived_days
     WHERE bucket = $1 AND day = $2 FOR UPDATE`,
    [day.bucket, day.day],
  )
  const table = tableOfDay(day)
  const expected = `${table}: expected it archived as ${closing}, or not to be there`
  if (known?.isArchived === true && known.closing !== closing) {
    throw new LedgerError('LAYOUT_MISMATCH', `${expected}, found it archived as ${known.closing}.`)
  }
  if (known?.isArchived === true) return
  const leaves = await leavesOfDay(connection, day)
  if (known !== undefined || (leaves.length > 0 && (await hasRows(connection, table)))) {
    const found = 'found it with entries. They are not replaced.'
    throw new LedgerError('LAYOUT_MISMATCH', `${expected}, ${found}`)
  }
}

/** Puts the tables that are filled in the place of whatever empty ones there are. */
async function replaceLeaves(
  connection: Connection,
  day: BucketDay,
  leaves: readonly RestoredLeaf[],
): Promise<void> {
  const { bucket } = day
  const table = tableOfDay(day)
  const old = await leavesOfDay(connection, day)
  for (const { leaf } of old) {
    await connection.script(`ALTER TABLE ${table} DETACH PARTITION ledger.${leaf}`)
    // Somebody may have written to a day that is not closed.
    if (await hasRows(connection, `ledger.${leaf}`)) {
      throw new LedgerError('LAYOUT_MISMATCH', `${table}: expected no entries, found some.`)
    }
    await connection.script(`DROP TABLE ledger.${leaf}`)
  }
  if (old.length === 0) {
    await connection.script(
      `CREATE TABLE ${table} (LIKE ${defaultLeafTable(bucket)}) PARTITION BY RANGE (id)`,
    )
  }
  for (const { leaf, bounds } of leaves) {
    const values =
      bounds === undefined ? 'DEFAULT' : `FOR VALUES FROM ('${bounds.low}') TO ('${bounds.high}')`
    await connection.script(`
      ALTER TABLE ledger.restoring_${leaf} RENAME TO ${leaf};
      ALTER INDEX ledger.restoring_${leaf}_key RENAME TO ${leaf}_key;
      ALTER INDEX ledger.restoring_${leaf}_id RENAME TO ${leaf}_id;
      ALTER TABLE ${table} ATTACH PARTITION ledger.${leaf} ${values}`)
  }
  if (old.length === 0) await attachDay(connection, day)
  await forgetRollups(
    connection,
    [...old, ...leaves].map(({ leaf }) => leaf),
  )
}

async function attachDay(connection: Connection, { low, high, ...day }: BucketDay): Promise<void> {
  const table = tableOfDay({ ...day, low, high })
  try {
    await connection.script(
      `ALTER TABLE ${bucketTable(day.bucket)} ATTACH PARTITION ${table}
       FOR VALUES FROM ('${low}') TO ('${high}')`,
    )
  } catch (error) {
    if (sqlState(error) !== '23514') throw error
    const found = `found some in ${defaultLeafTable(day.bucket)}`
    const message = `${table}: expected no entries of the day, ${found}.`
    throw new LedgerError('LAYOUT_MISMATCH', message, { cause: error })
  }
}
