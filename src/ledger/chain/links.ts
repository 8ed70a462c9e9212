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

/** The links of a partition after `link`, in order, `limit` at most. */
export async function readLinks(
  connection: Connection,
  partition: number,
  link: bigint,
  limit: number,
): Promise<Link[]> {
  const rows = await connection.query<LinkRow>(
    `SELECT ${columns} FROM ledger.chain c WHERE c.partition = $1 AND c.link > $2
     ORDER BY c.link LIMIT $3`,
    [partition, link, limit],
  )
  return rows.map(linkOf)
}

/** Where a checkpoint stood: all rows up to `createdAt` come from records before `offset`. */
export interface Mark {
  offset: Offset
  createdAt: Moment
}

/** The first link of a partition that knows both for an offset of `least` or more. */
export async function markFrom(
  connection: Connection,
  partition: number,
  least: Offset,
): Promise<Mark | undefined> {
  const row = await connection.queryOne<{ offset: string; at: string }>(
    `SELECT to_offset AS offset, ${sinceEpoch('to_created_at')} AS at FROM (
       SELECT link, to_offset, to_created_at, lag(to_offset, 1, 0::bigint) OVER (ORDER BY link) AS before
       FROM ledger.chain WHERE partition = $1) s
     WHERE to_offset > before AND to_offset >= $2 AND isfinite(to_created_at) ORDER BY link LIMIT 1`,
    [partition, least],
  )
  return row && { offset: Number(row.offset), createdAt: Number(row.at) }
}

/** Quarantined records of a partition in order, as digest.ts wants them. */
export async function quarantinedItems(
  connection: Connection,
  partition: number,
  from: Offset,
  to: Offset,
): Promise<{ offset: Offset; item: Buffer }[]> {
  const rows = await connection.query<{ log_offset: string; item: Buffer }>(
    `SELECT log_offset, int8send(log_offset) || timestamptz_send(created_at)
       || sha256(convert_to(log_identity, 'UTF8')) || sha256(convert_to(reason, 'UTF8'))
       || sha256(bytes) AS item
     FROM ledger.quarantine
     WHERE partition = $1 AND log_offset >= $2 AND log_offset < $3
     ORDER BY log_offset, log_identity`,
    [partition, from, to],
  )
  return rows.map(({ log_offset, item }) => ({ offset: Number(log_offset), item }))
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
