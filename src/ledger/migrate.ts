// Brings a database's tables to what this program expects, or refuses it.
// In:  schema/*.sql, numbered, forward only; the layout asked for.
// Out: tables, and a record of what was applied.
// Absent: day leaves (leaves.ts), undoing anything.

import { createHash } from 'node:crypto'
import { textFiles } from '../artifact/executable.ts'
import { LedgerError } from '../errors.ts'
import type { Connection } from '../postgres/connection.ts'
import { checkLayout, createBucketsSql, expectLayout, layoutSql, type Layout } from './buckets.ts'

interface Migration {
  version: number
  sql: string
  checksum: string
}

/** Any constant will do, as long as no other program locks it. */
const migrationLock = 0x1ed6e7

/**
 * Applies what is missing, in one transaction: all of it or nothing. Several processes may call
 * this at once. Rejects with LAYOUT_MISMATCH when the database belongs to a newer program, to one
 * whose migrations differ, or to a ledger that is divided otherwise.
 */
export async function migrate(connection: Connection, layout: Layout): Promise<void> {
  checkLayout(layout)
  const migrations = readMigrations()
  // The lock ends with the transaction, as it must when a pooler lends us a session; and with the
  // session, should this process stop between two statements, or none could start any more.
  await connection.script(
    `BEGIN; SET LOCAL idle_in_transaction_session_timeout = '30s';
     SELECT pg_advisory_xact_lock(${migrationLock})`,
  )
  try {
    const applied = await readApplied(connection)
    checkApplied(connection.where, migrations, applied)
    for (const migration of migrations.slice(applied.length)) await apply(connection, migration)
    if (applied.length === 0) await createBuckets(connection, layout)
    expectLayout(connection.where, layout, await readLayout(connection))
    await connection.execute('COMMIT')
  } catch (error) {
    if (connection.lost === undefined) await connection.execute('ROLLBACK')
    throw error
  }
}

function readMigrations(): Migration[] {
  return textFiles('ledger/schema', '.sql').map(({ name, text: sql }) => {
    const checksum = createHash('sha256').update(sql).digest('hex')
    return { version: Number.parseInt(name, 10), sql, checksum }
  })
}

type Applied = Pick<Migration, 'version' | 'checksum'>

async function readApplied(connection: Connection): Promise<Applied[]> {
  const found = await connection.queryOne<{ exists: boolean }>(
    `SELECT to_regclass('ledger.migrations') IS NOT NULL AS exists`,
  )
  if (found?.exists) {
    return connection.query<Applied>(
      'SELECT version, checksum FROM ledger.migrations ORDER BY version',
    )
  }
  await connection.script(`
    CREATE SCHEMA IF NOT EXISTS ledger;
    COMMENT ON SCHEMA ledger IS 'Transaction Ledger: entries, and how far the log is applied.';
    CREATE TABLE ledger.migrations (
      version integer PRIMARY KEY,
      checksum text NOT NULL,
      applied_at timestamptz NOT NULL DEFAULT now()
    );
    COMMENT ON TABLE ledger.migrations IS 'Schema files applied, with their SHA-256.'`)
  return []
}

function checkApplied(where: string, known: readonly Migration[], applied: readonly Applied[]) {
  for (const [index, { version, checksum }] of applied.entries()) {
    const expected = known.at(index)
    if (expected === undefined) {
      throw new LedgerError(
        'LAYOUT_MISMATCH',
        `${where}: expected tables of version ${known.at(-1)?.version} at most, found version ` +
          `${applied.at(-1)?.version}. A newer program has migrated this database; run that one.`,
      )
    }
    if (expected.version !== version || expected.checksum !== checksum) {
      throw new LedgerError(
        'LAYOUT_MISMATCH',
        `${where}: expected migration ${expected.version} with SHA-256 ${expected.checksum}, ` +
          `found migration ${version} with ${checksum}.`,
      )
    }
  }
}

async function apply(connection: Connection, { version, sql, checksum }: Migration) {
  await connection.script(sql)
  await connection.execute('INSERT INTO ledger.migrations (version, checksum) VALUES ($1, $2)', [
    version,
    checksum,
  ])
}

async function createBuckets(connection: Connection, layout: Layout): Promise<void> {
  await connection.execute(
    'INSERT INTO ledger.layout (buckets, databases, database_index) VALUES ($1, $2, $3)',
    [layout.buckets, layout.databases, layout.databaseIndex],
  )
  await connection.script(createBucketsSql(layout))
}

/** The layout a migrated database was created with. */
export async function readLayout(connection: Connection): Promise<Layout> {
  const found = await connection.queryOne<Layout>(layoutSql)
  if (found === undefined) {
    throw new LedgerError(
      'LAYOUT_MISMATCH',
      `${connection.where}: expected one row in ledger.layout, found none.`,
    )
  }
  return found
}
