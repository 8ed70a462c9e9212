// How far a bucket's partitions are, such that what they hold can be read and nobody is disturbed.
// In:  a connection, a bucket.
// Out: for each partition its checkpoint; the leaves to read what lies below it from.
// Absent: reading rows (tuples.ts).

/*
 * A leaf that is open (open-leaves.ts) has no index yet: looking into it means reading all of it,
 * and the worker seals leaves that are looked into. But it holds only what was committed since it
 * was opened. So who waits until the leaves that were open with the checkpoints are sealed finds
 * everything below these checkpoints in leaves that are sealed; younger rows are in newer ones.
 */

import type { Offset } from '../../log/log.ts'
import type { Connection } from '../../postgres/connection.ts'
import { bucketTable } from '../buckets.ts'
import { sinceEpoch } from '../checkpoint.ts'
import type { Moment } from '../moment.ts'

/** A partition's checkpoint. */
export interface PartitionHead {
  partition: number
  nextOffset: Offset
  logIdentity: string
  /** Its rows are this old or older; -Infinity where there is none. */
  createdAt: Moment
  /** No rows are between `from` and `to`: its last pause. */
  pause: { from: Moment; to: Moment } | undefined
}

interface Leaf {
  /** Qualified. */
  name: string
  isSealed: boolean
  isEmpty: boolean
}

interface HeadRow {
  partition: number
  next_offset: string
  log_identity: string
  last: string | null
  pause_from: string | null
  pause_to: string | null
}

const finite = (column: string): string =>
  `CASE WHEN isfinite(${column}) THEN ${sinceEpoch(column)} END`

/** The checkpoints of a bucket's partitions, ascending. */
export function headsSql(bucket: number): string {
  return `
    SELECT partition, next_offset, log_identity, ${finite('last_created_at')} AS last,
      ${finite('pause_from')} AS pause_from, ${finite('pause_to')} AS pause_to
    FROM ledger.checkpoints
    WHERE partition % (SELECT buckets FROM ledger.layout) = ${bucket} ORDER BY partition`
}

export function headOf(row: Record<string, unknown>): PartitionHead {
  const { partition, next_offset, log_identity, last, pause_from, pause_to } =
    row as unknown as HeadRow
  const moment = (text: string | null): Moment => (text === null ? -Infinity : Number(text))
  const pause = pause_to === null ? undefined : { from: moment(pause_from), to: Number(pause_to) }
  const createdAt = moment(last)
  return { partition, nextOffset: Number(next_offset), logIdentity: log_identity, createdAt, pause }
}

/** The catalogue as of the snapshot, which functions such as pg_partition_tree are not. */
function leavesSql(bucket: number): string {
  return `
    WITH inside AS (
      SELECT c.oid, c.relname, c.relkind FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
      WHERE i.inhparent = '${bucketTable(bucket)}'::regclass
    ), leaf AS (
      SELECT oid, relname FROM inside WHERE relkind = 'r'
      UNION ALL
      SELECT c.oid, c.relname FROM inside d JOIN pg_inherits i ON i.inhparent = d.oid
      JOIN pg_class c ON c.oid = i.inhrelid WHERE d.relkind = 'p'
    )
    SELECT 'ledger.' || relname AS name, pg_relation_size(oid) = 0 AS "isEmpty",
      EXISTS (SELECT FROM pg_index i
        WHERE i.indrelid = leaf.oid AND i.indisunique AND i.indisvalid) AS "isSealed"
    FROM leaf ORDER BY relname`
}

/** Checkpoints of a bucket, and the leaves that were open with them. */
export interface Observation {
  bucket: number
  heads: PartitionHead[]
  open: ReadonlySet<string>
}

export async function observe(connection: Connection, bucket: number): Promise<Observation> {
  const results = await connection.script(
    `BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;
     ${headsSql(bucket)}; ${leavesSql(bucket)}; COMMIT`,
  )
  const heads = (results[1]?.rows ?? []).map(headOf)
  const leaves = (results[2]?.rows ?? []) as unknown as Leaf[]
  const open = leaves.filter(({ isSealed }) => !isSealed)
  return { bucket, heads, open: new Set(open.map(({ name }) => name)) }
}

/** Leaves that hold what lies below the heads; undefined while some of them are open. */
export async function settledLeaves(
  connection: Connection,
  { bucket, open }: Observation,
): Promise<string[] | undefined> {
  const leaves = await connection.query<Leaf>(leavesSql(bucket))
  if (leaves.some(({ name, isSealed }) => open.has(name) && !isSealed)) return undefined
  const filled = leaves.filter(({ isSealed, isEmpty }) => isSealed && !isEmpty)
  return filled.map(({ name }) => name)
}
