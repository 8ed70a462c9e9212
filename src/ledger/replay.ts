// The tables of a ledger beside those that are made anew from its log.
// In:  connections to one database.
// Out: which schemas there are and how far they are; what differs between two; one in the place of
//      the other.
// Absent: the log, and filling tables (worker/, as ever).

/*
 * `ledger` is served; `ledger_replay` is being made, and has checkpoints of its own, so that
 * whoever goes on with it goes on from where it is; `ledger_before_replay` is what `ledger` was,
 * until it is dropped. The names change in one transaction that locks the checkpoints of `ledger`
 * and sees that they have not moved: whoever had claimed a partition meanwhile would have moved
 * them.
 */

import { LedgerError } from '../errors.ts'
import type { Connection } from '../postgres/connection.ts'
import { sinceEpoch } from './checkpoint.ts'

export const served = 'ledger'
export const made = 'ledger_replay'
export const kept = 'ledger_before_replay'
export type Schema = typeof served | typeof made | typeof kept

export interface Position {
  partition: number
  nextOffset: number
  epoch: string
  logIdentity: string
}

/** Schemas of a ledger that this database has. */
export async function schemasOf(connection: Connection): Promise<Set<Schema>> {
  const rows = await connection.query<{ name: Schema }>(
    `SELECT nspname AS name FROM pg_namespace
     WHERE nspname = ANY ($1) AND to_regclass(nspname || '.checkpoints') IS NOT NULL`,
    [[served, made, kept]],
  )
  return new Set(rows.map(({ name }) => name))
}

export async function positionsOf(connection: Connection, schema: Schema): Promise<Position[]> {
  const rows = await connection.query<Position & { nextOffset: string }>(positionsSql(schema))
  return rows.map((row) => ({ ...row, nextOffset: Number(row.nextOffset) }))
}

function positionsSql(schema: Schema): string {
  return `
    SELECT partition, next_offset AS "nextOffset", epoch, log_identity AS "logIdentity"
    FROM ${schema}.checkpoints ORDER BY partition`
}

/** Sessions of workers in this database. */
export async function workerSessions(connection: Connection): Promise<number> {
  const found = await connection.queryOne<{ count: number }>(
    `SELECT count(*)::int AS count FROM pg_stat_activity
     WHERE datname = current_database() AND application_name LIKE 'ledger worker %'`,
  )
  return found?.count ?? 0
}

/** What a schema's tables hold, a line a fact; equal tables have equal facts. */
export type Facts = Readonly<Record<string, string>>

/**
 * Reads every row. Content is told by sums of hashes, which no order of rows changes; `detected_at`
 * and `quarantined_at` are when that was done, and so are left out.
 */
export async function factsOf(connection: Connection, schema: Schema): Promise<Facts> {
  const digest = (...columns: string[]): string =>
    `coalesce(sum(hashtextextended(concat_ws(' ', ${columns.join(', ')}), 0)::numeric), 0)::text`
  const created = sinceEpoch('created_at')
  const found = await connection.queryOne<Record<string, string>>(`
    SELECT t.*, c.*, q.* FROM
      (SELECT count(*)::text AS entries, coalesce(sum(amount), 0)::text AS "sum of entries",
         ${digest('account_id', 'id', 'amount')} AS "content of entries",
         ${digest('account_id', 'id', created)} AS "created_at of entries"
       FROM ${schema}.transactions) t,
      (SELECT count(*)::text AS conflicts,
         ${digest('account_id', 'id', 'amount', 'recorded_amount', created)}
           AS "content of conflicts"
       FROM ${schema}.conflicts) c,
      (SELECT count(*)::text AS "quarantined records",
         ${digest('partition', 'log_offset', 'md5(bytes)', created)}
           AS "content of quarantined records"
       FROM ${schema}.quarantine) q`)
  return found ?? {}
}

/** Entries that `ledger` has in files or held apart: what is made anew has them in its tables. */
export async function archivedEntries(connection: Connection): Promise<string> {
  const found = await connection.queryOne<{ exists: boolean }>(
    `SELECT to_regclass('ledger.archived_days') IS NOT NULL AS exists`,
  )
  if (found?.exists !== true) return '0'
  const counted = await connection.queryOne<{ count: string }>(
    `SELECT ((SELECT coalesce(sum(entries), 0) FROM ledger.archived_days)
       + (SELECT count(*) FROM ledger.held_entries))::text AS count`,
  )
  return counted?.count ?? '0'
}

/**
 * Puts what was made in the place of what is served, if that is where it was. Epochs and versions
 * go on above those of before, so that whoever remembers one of them sees that all has changed.
 */
export async function swapSchemas(
  connection: Connection,
  before: readonly Position[] | undefined,
): Promise<void> {
  try {
    await connection.script(`BEGIN; SET LOCAL synchronous_commit = on;
      SET LOCAL lock_timeout = '10s'; SET LOCAL idle_in_transaction_session_timeout = '60s'`)
    if (before !== undefined) await replaceServed(connection, before)
    await connection.script(`ALTER SCHEMA ${made} RENAME TO ${served}; ${renamedSql}; COMMIT`)
  } catch (error) {
    if (connection.lost === undefined) await connection.execute('ROLLBACK')
    throw error
  }
}

async function replaceServed(connection: Connection, before: readonly Position[]): Promise<void> {
  await connection.script(`LOCK TABLE ${served}.checkpoints IN ACCESS EXCLUSIVE MODE`)
  const now = await positionsOf(connection, served)
  if (JSON.stringify(now) !== JSON.stringify(before)) {
    throw new LedgerError(
      'FENCED',
      `${connection.where}: expected ledger.checkpoints as it was when the replay began, found ` +
        'it changed: a worker ran meanwhile. Nothing is swapped. Stop it, and go on.',
    )
  }
  // Links of what is the same stay what they are: heads that are kept elsewhere still prove it.
  const found = await connection.queryOne<{ hasChain: boolean }>(
    `SELECT to_regclass('${made}.chain') IS NOT NULL
       AND to_regclass('${served}.chain') IS NOT NULL AS "hasChain"`,
  )
  if (found?.hasChain === true) {
    await connection.script(`INSERT INTO ${made}.chain SELECT * FROM ${served}.chain`)
  }
  await connection.script(`
    UPDATE ${made}.checkpoints n SET epoch = greatest(n.epoch, o.epoch) + 1
    FROM ${served}.checkpoints o WHERE o.partition = n.partition;
    INSERT INTO ${made}.leaf_versions (bucket, cause, version)
    SELECT bucket, 'replay', sum(version) + 1 FROM ${served}.leaf_versions GROUP BY bucket;
    UPDATE ${made}.layout SET created_at = o.created_at FROM ${served}.layout o;
    ALTER SCHEMA ${served} RENAME TO ${kept}`)
}

/** Tables are known by number, but functions and comments are texts that name the schema. */
const renamedSql = `
  DO $renamed$
  DECLARE
    one record;
  BEGIN
    FOR one IN
      SELECT pg_get_functiondef(oid) AS definition FROM pg_proc
      WHERE pronamespace = '${served}'::regnamespace
    LOOP
      EXECUTE replace(one.definition, '${made}.', '${served}.');
    END LOOP;
    FOR one IN
      SELECT CASE WHEN d.objsubid = 0
          THEN format('TABLE %s', c.oid::regclass)
          ELSE format('COLUMN %s.%I', c.oid::regclass, a.attname) END AS object,
        d.description AS comment
      FROM pg_description d
      JOIN pg_class c ON d.classoid = 'pg_class'::regclass AND d.objoid = c.oid
      LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = d.objsubid
      WHERE c.relnamespace = '${served}'::regnamespace AND c.relkind IN ('r', 'p')
        AND d.description LIKE '%${made}%'
    LOOP
      EXECUTE format('COMMENT ON %s IS %L',
        one.object, replace(one.comment, '${made}', '${served}'));
    END LOOP;
  END
  $renamed$`

/** Table by table: all at once would need more locks than PostgreSQL has room for. */
export async function dropSchema(connection: Connection, schema: typeof made | typeof kept) {
  const tables = await connection.query<{ name: string }>(
    `SELECT relname AS name FROM pg_class
     WHERE relnamespace = to_regnamespace($1) AND relkind = 'r'`,
    [schema],
  )
  for (const { name } of tables) {
    await connection.script(`DROP TABLE IF EXISTS ${schema}.${name} CASCADE`)
  }
  await connection.script(`DROP SCHEMA IF EXISTS ${schema} CASCADE`)
}
