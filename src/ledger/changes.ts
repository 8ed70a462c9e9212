// What was committed to the ledger since a cursor, partition by partition, in order.
// In:  for each partition, up to where its rows are known.
// Out: its rows after that, and up to where they are known then.
// Absent: cursors as clients see them, waiting for more (query/).

/*
 * Why a time is enough to find what is new. All rows of a log record share one created_at, and each
 * record of a partition has a later one than the record before it (worker/created.ts). Records are
 * applied in their order, and a checkpoint's last_created_at is that of the last one applied, moved
 * in the transaction that brings the rows. So whoever sees `last_created_at = t` of a partition
 * sees every row of it that will ever be as old as t or older: what is new after c are the rows in
 * (c, t], whatever has been committed meanwhile, crashed and been replayed. Checkpoints and rows
 * must be read as of one instant, since the next read may go to a replica that is further behind.
 *
 * Rows are found by the BRIN of their leaf: those of a flush lie together. The rows of a bucket's
 * partitions lie mixed, so they are read together, from where the one that is furthest behind
 * stands. One that had nothing to say for long would make that a long way back each time it says
 * something: its checkpoint has its last pause, which is skipped.
 */

import { parseUuid } from '../bytes/uuid.ts'
import { changesRowsMax } from '../limits.ts'
import { partitionOf } from '../record/partition.ts'
import { bucketTable } from './buckets.ts'
import { sinceEpoch } from './checkpoint.ts'
import { momentLiteral, momentOfHex, type Moment } from './moment.ts'
import type { ReadDatabases } from './read-databases.ts'

/** How far a partition is, and its last pause. */
export interface Head {
  last: Moment
  /** No rows are between `from` and `to`. */
  pause: { from: Moment; to: Moment } | undefined
  /** When its tables were created: few rows are older. */
  origin: Moment
}

export interface ChangedRow {
  /** Lower-case UUIDs. */
  id: string
  accountId: string
  amount: string
  createdAt: Moment
}

/** Rows of one partition, those of a record together, by (created_at, account_id, id). */
export interface Batch {
  partition: number
  rows: ChangedRow[]
}

export interface BucketChanges {
  batches: Batch[]
  /** Up to where the partitions that were looked for are known now. */
  moments: ReadonlyMap<number, Moment>
  /** Rows that were read, whoever's. */
  read: number
  /** There were more. */
  isCut: boolean
}

/** What to look for: some partitions of one bucket. */
export interface Window {
  bucket: number
  /** Up to where each of them is known. */
  known: ReadonlyMap<number, Moment>
  /** Nothing of them is new up to here; -Infinity to begin with. */
  floor: Moment
  /** Nothing is looked for that is younger. */
  ceiling: Moment
  /** Up to where there is something. */
  last: Moment
}

interface HeadRow {
  partition: number
  last: string
  /** Null for a pause from the beginning on. */
  pauseFrom: string | null
  pauseTo: string | null
  origin: string
}

const headsSql = `
  SELECT partition, ${sinceEpoch('last_created_at')} AS last,
    CASE WHEN isfinite(pause_from) THEN ${sinceEpoch('pause_from')} END AS "pauseFrom",
    ${sinceEpoch('pause_to')} AS "pauseTo",
    (SELECT ${sinceEpoch('created_at')} FROM ledger.layout) AS origin
  FROM ledger.checkpoints WHERE last_created_at IS NOT NULL`

/** What tells this ledger from others: when its first database was created. */
export async function ledgerOrigin(databases: ReadDatabases): Promise<string> {
  const [first] = await databases.all()
  const [row] = await first.read<{ origin: string }>(
    `SELECT ${sinceEpoch('created_at')}::text AS origin FROM ledger.layout`,
  )
  return row.origin
}

/** Where partitions stand in the tables now; those that never had a row are left out. */
export async function changesHeads(databases: ReadDatabases): Promise<Map<number, Head>> {
  const all = await databases.all()
  const rows = await Promise.all(all.map((database) => database.read<HeadRow>(headsSql)))
  return new Map(rows.flat().map((row) => [row.partition, headOf(row)]))
}

function headOf({ last, pauseFrom, pauseTo, origin }: HeadRow): Head {
  const from = pauseFrom === null ? -Infinity : Number(pauseFrom)
  const pause = pauseTo === null ? undefined : { from, to: Number(pauseTo) }
  return { last: Number(last), pause, origin: Number(origin) }
}

/**
 * The window in which something of a bucket's partitions is new; undefined when nothing is.
 *
 * @param known up to where those that are wanted are known
 * @param span how far to look, in microseconds
 */
export function nextWindow(
  bucket: number,
  known: ReadonlyMap<number, Moment>,
  heads: ReadonlyMap<number, Head>,
  span: number,
): Window | undefined {
  const behind = new Map<number, Moment>()
  let floor = Infinity
  let last = -Infinity
  let origin = -Infinity
  for (const [partition, moment] of known) {
    const head = heads.get(partition)
    if (!head || head.last <= moment) continue
    behind.set(partition, moment)
    floor = Math.min(floor, afterPause(moment, head))
    last = Math.max(last, head.last)
    origin = head.origin
  }
  if (behind.size === 0) return undefined
  // From the beginning on, there is little to read before the tables were there.
  const far = floor === -Infinity ? origin : floor + span
  return { bucket, known: behind, floor, ceiling: Math.min(far, last), last }
}

/** The latest moment up to which a partition has nothing that is not known. */
function afterPause(known: Moment, { pause }: Head): Moment {
  if (!pause || known < pause.from || known >= pause.to) return known
  const before = pause.to - 1
  return before < pause.to ? before : known
}

/**
 * Whether anybody knows more afterwards. Nobody does where PostgreSQL was killed, and has forgotten
 * the newest commits, which may come again.
 */
export function isProgress({ known }: Window, { moments }: BucketChanges): boolean {
  return [...moments].some(([partition, moment]) => moment > (known.get(partition) ?? Infinity))
}

/**
 * What is new in a window. More than fits is cut off between two records, and the rest is found by
 * the next window.
 */
export async function bucketChanges(
  databases: ReadDatabases,
  { bucket, known, floor, ceiling }: Window,
): Promise<BucketChanges> {
  const partitions = [...known.keys()]
  const database = await databases.ofPartition(partitions[0] ?? 0)
  const lower = floor === -Infinity ? '' : `created_at > ${momentLiteral(floor)} AND`
  for (let rowsMax = changesRowsMax; ; rowsMax *= 4) {
    const [heads, rows] = (await database.snapshot([
      `${headsSql} AND partition IN (${partitions.join()})`,
      `SELECT account_id::text || id::text || encode(timestamptz_send(created_at), 'hex') || amount
         AS line
       FROM ${bucketTable(bucket)} WHERE ${lower} created_at <= ${momentLiteral(ceiling)}
       ORDER BY created_at, account_id, id LIMIT ${rowsMax + 1}`,
    ])) as [HeadRow[], { line: string }[]]
    const lines = rows.map(({ line }) => line)
    // Whether all rows of the last record have come is known only when those of another follow.
    const isCut = lines.length > rowsMax
    const through = isCut ? lastWhole(lines) : ceiling
    if (through === undefined) continue
    const moments = new Map<number, Moment>()
    for (const { partition, last } of heads) {
      const moment = Math.min(Number(last), through)
      moments.set(partition, Math.max(moment, known.get(partition) ?? moment))
    }
    return { batches: dealOut(lines, known, moments), moments, read: lines.length, isCut }
  }
}

/** The moment before that of the last line; undefined where all lines have the same. */
function lastWhole(lines: readonly string[]): Moment | undefined {
  const last = createdAtOf(lines.at(-1) ?? '')
  const before = lines.findLast((line) => createdAtOf(line) !== last)
  return before === undefined ? undefined : createdAtOf(before)
}

/** The rows that are new to each partition. */
function dealOut(
  lines: readonly string[],
  known: ReadonlyMap<number, Moment>,
  moments: ReadonlyMap<number, Moment>,
): Batch[] {
  const batches = new Map<number, Batch>()
  for (const line of lines) {
    const accountId = line.slice(0, 36)
    const partition = partitionOfText(accountId)
    const from = known.get(partition)
    const to = moments.get(partition)
    const createdAt = createdAtOf(line)
    if (from === undefined || to === undefined || createdAt <= from || createdAt > to) continue
    const row = { id: line.slice(36, 72), accountId, amount: line.slice(88), createdAt }
    const batch = batches.get(partition)
    if (batch) batch.rows.push(row)
    else batches.set(partition, { partition, rows: [row] })
  }
  return [...batches.values()]
}

function createdAtOf(line: string): Moment {
  return momentOfHex(line.slice(72, 88))
}

function partitionOfText(accountId: string): number {
  const bytes = parseUuid(accountId) ?? new Uint8Array(16)
  return partitionOf(new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength), 0)
}
