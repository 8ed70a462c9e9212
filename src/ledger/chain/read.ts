// Reads what a bucket's leaves, and the conflicts of its partitions, have of a span of time.
// In:  a connection with a transaction under way, leaves, a span of created_at.
// Out: tuples, arranged; or that there are too many.
// Absent: which span (windows.ts).

import { copyOut } from '../../postgres/copy-out.ts'
import type { Connection } from '../../postgres/connection.ts'
import { sinceEpoch } from '../checkpoint.ts'
import { momentLiteral, type Moment } from '../moment.ts'
import { copyRowBytes, conflictShape, rowShape, type TupleShape, type Tuples } from './tuples.ts'
import type { Windows } from './windows.ts'

const rowsAtOnce = 1024

/** `created_at` after `floor`, which may be -Infinity, up to `ceiling`, which may be Infinity. */
function within(floor: Moment, ceiling: Moment): string {
  const lower = floor === -Infinity ? 'true' : `created_at > ${momentLiteral(floor)}`
  const upper = ceiling === Infinity ? 'true' : `created_at <= ${momentLiteral(ceiling)}`
  return `${lower} AND ${upper}`
}

/** The rows of some leaves in a span; `columns` of none where there is no leaf. */
export function leavesSelect(
  leaves: readonly string[],
  columns: string,
  floor: Moment,
  ceiling: Moment,
): string {
  const from = leaves.length > 0 ? leaves : ['ledger.transactions']
  const where = leaves.length > 0 ? within(floor, ceiling) : 'false'
  return from.map((leaf) => `SELECT ${columns} FROM ${leaf} WHERE ${where}`).join(' UNION ALL ')
}

/**
 * Reads rows and conflicts from `floor` on, as far as both fit or to `last`, and returns how far.
 * Only more at one instant than fit makes more room.
 */
export async function readWindow(
  connection: Connection,
  leaves: readonly string[],
  { floor, last }: { floor: Moment; last: Moment },
  windows: Windows,
  { rows, conflicts }: { rows: Tuples; conflicts: Tuples },
): Promise<Moment> {
  for (;;) {
    const ceiling = Math.min(last, windows.after(floor))
    const rowsFit = await readRows(connection, leaves, floor, ceiling, rows)
    const fit = rowsFit && (await readConflicts(connection, floor, ceiling, conflicts))
    if (fit) {
      windows.had(rows.count)
      return ceiling
    }
    if (windows.shrink()) continue
    const full = rowsFit ? conflicts : rows
    full.resize(full.capacity * 2)
  }
}

/** False when there are more than the tuples have room for; what they hold is of no use then. */
function readRows(
  connection: Connection,
  leaves: readonly string[],
  floor: Moment,
  ceiling: Moment,
  into: Tuples,
): Promise<boolean> {
  const columns = 'account_id, id, amount, created_at'
  return read(connection, leavesSelect(leaves, columns, floor, ceiling), rowShape, into)
}

/** Of all buckets: there are few, and they lie where they were detected. */
function readConflicts(
  connection: Connection,
  floor: Moment,
  ceiling: Moment,
  into: Tuples,
): Promise<boolean> {
  const select = `
    SELECT account_id, id, amount, recorded_amount, created_at FROM ledger.conflicts
    WHERE ${within(floor, ceiling)}`
  return read(connection, select, conflictShape, into)
}

async function read(
  connection: Connection,
  select: string,
  shape: TupleShape,
  into: Tuples,
): Promise<boolean> {
  into.clear()
  let fits = true
  const format = { rowBytes: copyRowBytes(shape), rows: rowsAtOnce }
  for await (const rows of copyOut(connection, select, format)) fits &&= into.add(rows)
  if (fits) into.arrange()
  return fits
}

/** Just before the oldest row of some leaves or the oldest conflict; undefined without any. */
export async function beforeOldest(
  connection: Connection,
  leaves: readonly string[],
): Promise<Moment | undefined> {
  const rows = leavesSelect(leaves, 'min(created_at) AS at', -Infinity, Infinity)
  const found = await connection.queryOne<{ at: string | null }>(
    `SELECT ${sinceEpoch('min(at)')} AS at
     FROM (${rows} UNION ALL SELECT min(created_at) FROM ledger.conflicts) s`,
  )
  const at = found?.at ?? undefined
  return at === undefined ? undefined : Number(at) - 1
}
