// All entries of an account, or those of a range of ids, as they are at one instant.
// In:  an account, a range, validated.
// Out: rows in binary, in the order of their ids, as fast as they are taken.
// Absent: text formats (query/), pages (entries.ts).

/*
 * One COPY, so one snapshot. It has a connection of its own: others must not wait for it, however
 * slow its reader is. PostgreSQL keeps what the snapshot needs for as long as it lasts, so that is
 * bounded; and it looks itself whether we are still there, in case it has nothing to send.
 */

import { LedgerError } from '../errors.ts'
import { exportMinutesMax } from '../limits.ts'
import { copyOut } from '../postgres/copy-out.ts'
import { expectUnarchived } from './archived.ts'
import { spanSql } from './entries.ts'
import { uuidLiteral, type ReadDatabases } from './read-databases.ts'

/*
 * Row => INT16 3, INT32 16 id[16], INT32 8 INT64 amount, INT32 8 INT64 created_at
 *
 * created_at is in microseconds since 2000-01-01 UTC.
 */
export const exportRow = { bytes: 46, id: 6, amount: 26, createdAt: 38 } as const

export interface ExportOptions {
  accountId: Uint8Array
  order: 'asc' | 'desc'
  from?: Uint8Array
  to?: Uint8Array
  /** Rows that are read at a time. */
  rows: number
  /** Aborted when nobody wants them any more. */
  signal: AbortSignal
}

/** Sorting would need memory or disk for all of it; each leaf has an index in that order. */
const prelude = `
  BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;
  SET LOCAL statement_timeout = '${exportMinutesMax}min';
  SET LOCAL idle_in_transaction_session_timeout = '1min';
  SET LOCAL client_connection_check_interval = '2s';
  SET LOCAL enable_sort = off;
  SET LOCAL jit = off`

/** Yields the same buffer again and again, with up to `rows` rows. */
export async function* exportedRows(
  databases: ReadDatabases,
  { accountId, order, from, to, rows, signal }: ExportOptions,
): AsyncGenerator<Uint8Array> {
  const database = await databases.poolOf(accountId)
  const tooLong = AbortSignal.timeout(exportMinutesMax * 60_000)
  const connection = await database.connect({
    applicationName: 'ledger export',
    signal: AbortSignal.any([signal, tooLong]),
  })
  let isWhole = false
  try {
    await connection.script(prelude)
    const bounds = { ...(from ? { from } : {}), ...(to ? { to } : {}) }
    await expectUnarchived(connection, accountId, bounds)
    const span = spanSql(bounds)
    const select = `SELECT id, amount, created_at FROM ledger.transactions
      WHERE account_id = ${uuidLiteral(accountId)} ${span} ORDER BY id ${order}`
    yield* copyOut(connection, select, { rowBytes: exportRow.bytes, rows })
    isWhole = true
  } catch (error) {
    if (!tooLong.aborted || signal.aborted) throw error
    const message = `An export took longer than ${exportMinutesMax} minutes and was ended.`
    throw new LedgerError('OVERLOADED', message, { cause: error })
  } finally {
    if (isWhole) await connection.close()
    else connection.destroy()
  }
}
