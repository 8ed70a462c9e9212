// The links of the chains, as they are kept.
// In:  a connection.
// Out: links read and appended.
// Absent: what is in them (digest.ts), when they are made (extend.ts), changing one.

import type { Connection } from '../../postgres/connection.ts'
import { arrayLiteral, sinceEpoch } from '../checkpoint.ts'
import type { Offset } from '../../log/log.ts'
import { momentLiteral, type Moment } from '../moment.ts'
import type { Link } from './digest.ts'

interface LinkRow {
  partition: number
  link: string
  to_created_at: string | null
  to_offset: string
  rows: string
  sum: string
  conflicts: string
  quarantined: string
  content: Buffer
  hash: Buffer
}

const columns = `partition, link, to_offset, rows, sum::text, conflicts, quarantined, content, hash,
  CASE WHEN isfinite(to_created_at) THEN ${sinceEpoch('to_created_at')} END AS to_created_at`

function linkOf(row: LinkRow): Link {
  return {
    partition: row.partition,
    link: BigInt(row.link),
    toCreatedAt: row.to_created_at === null ? -Infinity : Number(row.to_created_at),
    toOffset: Number(row.to_offset),
    rows: Number(row.rows),
    sum: BigInt(row.sum),
    conflicts: Number(row.conflicts),
    quarantined: Number(row.quarantined),
    content: row.content,
    hash: row.hash,
  }
}

/** The last link of each of these partitions; of those that have any. */
export async function readTips(
  connection: Connection,
  partitions: readonly number[],
): Promise<Map<number, Link>> {
  const rows = await connection.query<LinkRow>(
    `SELECT tip.* FROM unnest(${arrayLiteral(partitions)}::int[]) AS p (partition)
     CROSS JOIN LATERAL (
       SELECT ${columns} FROM ledger.chain c WHERE c.partition = p.partition
       ORDER BY c.link DESC LIMIT 1) tip`,
  )
  return new Map(rows.map((row) => [row.partition, linkOf(row)]))
}

/** Links of some partitions after the one given for each, in order, `limit` of each at most. */
export async function readLinks(
  connection: Connection,
  after: ReadonlyMap<number, bigint>,
  limit: number,
): Promise<Map<number, Link[]>> {
  const links = new Map<number, Link[]>([...after.keys()].map((partition) => [partition, []]))
  const rows = await connection.query<LinkRow>(
    `SELECT own.* FROM unnest($1::int[], $2::bigint[]) AS p (partition, after)
     CROSS JOIN LATERAL (
       SELECT ${columns} FROM ledger.chain c WHERE c.partition = p.partition AND c.link > p.after
       ORDER BY c.link LIMIT $3) own
     ORDER BY own.partition, own.link`,
    [[...after.keys()], [...after.values()], limit],
  )
  for (const row of rows) links.get(row.partition)?.push(linkOf(row))
  return links
}

/** Where a checkpoint stood: all rows up to `createdAt` come from records before `offset`. */
export interface Mark {
  offset: Offset
  createdAt: Moment
}

/** Of each partition the first link that knows both for an offset of what is given or more. */
export async function marksFrom(
  connection: Connection,
  least: ReadonlyMap<number, Offset>,
): Promise<Map<number, Mark>> {
  const rows = await connection.query<{ partition: number; offset: string; at: string }>(
    `SELECT p.partition, m.to_offset AS offset, ${sinceEpoch('m.to_created_at')} AS at
     FROM unnest($1::int[], $2::bigint[]) AS p (partition, least)
     CROSS JOIN LATERAL (
       SELECT to_offset, to_created_at FROM (
         SELECT link, to_offset, to_created_at,
           lag(to_offset, 1, 0::bigint) OVER (ORDER BY link) AS before
         FROM ledger.chain c WHERE c.partition = p.partition) s
       WHERE to_offset > before AND to_offset >= p.least AND isfinite(to_created_at)
       ORDER BY link LIMIT 1) m`,
    [[...least.keys()], [...least.values()]],
  )
  return new Map(
    rows.map(({ partition, offset, at }) => {
      return [partition, { offset: Number(offset), createdAt: Number(at) }]
    }),
  )
}

/** A quarantined record as digest.ts wants it. */
export interface QuarantinedItem {
  offset: Offset
  item: Buffer
}

/** Quarantined records of some partitions, between offsets, in order. */
export async function quarantinedItems(
  connection: Connection,
  spans: ReadonlyMap<number, { from: Offset; to: Offset }>,
): Promise<Map<number, QuarantinedItem[]>> {
  const rows = await connection.query<{ partition: number; log_offset: string; item: Buffer }>(
    `SELECT q.partition, log_offset, int8send(log_offset) || timestamptz_send(created_at)
       || sha256(convert_to(log_identity, 'UTF8')) || sha256(convert_to(reason, 'UTF8'))
       || sha256(bytes) AS item
     FROM unnest($1::int[], $2::bigint[], $3::bigint[]) AS p (partition, low, high)
     JOIN ledger.quarantine q
       ON q.partition = p.partition AND log_offset >= low AND log_offset < high
     ORDER BY q.partition, log_offset, log_identity`,
    [
      [...spans.keys()],
      [...spans.values()].map(({ from }) => from),
      [...spans.values()].map(({ to }) => to),
    ],
  )
  const items = new Map<number, QuarantinedItem[]>([...spans.keys()].map((one) => [one, []]))
  for (const { partition, log_offset, item } of rows) {
    items.get(partition)?.push({ offset: Number(log_offset), item })
  }
  return items
}

/** Fails where somebody else has appended the same link. */
export async function appendLinks(connection: Connection, links: readonly Link[]): Promise<void> {
  const hex = (bytes: Buffer): string => `'\\x${bytes.toString('hex')}'`
  const values = links.map((one) => {
    const at = one.toCreatedAt === -Infinity ? `'-infinity'` : momentLiteral(one.toCreatedAt)
    const counts = [one.rows, one.sum, one.conflicts, one.quarantined].join(', ')
    const hashes = `${hex(one.content)}, ${hex(one.hash)}`
    return `(${one.partition}, ${one.link}, ${at}, ${one.toOffset}, ${counts}, ${hashes})`
  })
  await connection.script(`
    INSERT INTO ledger.chain (partition, link, to_created_at, to_offset, rows, sum, conflicts,
      quarantined, content, hash)
    VALUES ${values.join(', ')}`)
}
