// A connection to a database of a ledger for what may take long.
// In:  a URL.
// Out: the connection, how the ledger is divided, and which schema file was applied last.
// Absent: migrating.

import { LedgerError } from '../../errors.ts'
import type { Layout } from '../../ledger/buckets.ts'
import { readLayout } from '../../ledger/migrate.ts'
import { connect, type Connection } from '../../postgres/connection.ts'

export interface ArchiveConnection {
  connection: Connection
  layout: Layout
  schema: number
}

export async function connectArchive(url: string): Promise<ArchiveConnection> {
  const connection = await connect(url, {
    applicationName: 'ledger archive',
    answerSeconds: 24 * 3600,
  })
  try {
    const found = await connection.queryOne<{ isMigrated: boolean }>(
      `SELECT to_regclass('ledger.archived_days') IS NOT NULL AS "isMigrated"`,
    )
    if (found?.isMigrated !== true) {
      throw new LedgerError(
        'LAYOUT_MISMATCH',
        `${connection.where}: expected the tables of this program, found none or older ones. ` +
          'Start a worker, or run --migrate.',
      )
    }
    const applied = await connection.queryOne<{ version: number }>(
      'SELECT max(version) AS version FROM ledger.migrations',
    )
    const layout = await readLayout(connection)
    return { connection, layout, schema: applied?.version ?? 0 }
  } catch (error) {
    await connection.close()
    throw error
  }
}
