// Log records that could not be decoded, as they are kept.
// In:  positions in the log, validated.
// Out: what is known of them, over all databases; their bytes.
// Absent: HTTP, putting anything there (commit.ts).

import { partitionCount } from '../record/layout.ts'
import { mergedRows } from './merged.ts'
import { utc, type ReadDatabases } from './read-databases.ts'

export interface QuarantinedRecord {
  /** Partition, offset and log: what a record is sorted by, and found again by. */
  key: string
  partition: number
  offset: string
  logIdentity: string
  reason: string
  size: number
  createdAt: string
  quarantinedAt: string
}

export interface QuarantinePosition {
  partition: number
  offset: bigint
  logIdentity: string
}

const partitionDigits = 3
const offsetDigits = 19

/** So that records sort by their keys as text as they do by their columns. */
export function quarantineKey({ partition, offset, logIdentity }: QuarantinePosition): string {
  const digits = [
    String(partition).padStart(partitionDigits, '0'),
    String(offset).padStart(offsetDigits, '0'),
  ]
  return [...digits, logIdentity].join(' ')
}

/** The position in a key, or `undefined` where it is none. */
export function quarantinePosition(key: string): QuarantinePosition | undefined {
  const [, partition, offset, logIdentity] = /^(\d{3}) (\d{19}) ([^\0]*)$/s.exec(key) ?? []
  if (Number(partition) >= partitionCount || BigInt(offset ?? 2n ** 63n) >= 2n ** 63n) {
    return undefined
  }
  return { partition: Number(partition), offset: BigInt(offset), logIdentity }
}

const columns = `
  concat_ws(' ', lpad(partition::text, ${partitionDigits}, '0'),
    lpad(log_offset::text, ${offsetDigits}, '0'), log_identity) AS key,
  partition, log_offset::text AS offset, log_identity AS "logIdentity", reason,
  length(bytes) AS size, ${utc('created_at')} AS "createdAt",
  ${utc('quarantined_at')} AS "quarantinedAt"`

/** `limit` records at most, by partition, offset and log. */
export function quarantinePage(
  databases: ReadDatabases,
  limit: number,
  isAscending: boolean,
  past?: QuarantinePosition,
): Promise<QuarantinedRecord[]> {
  const direction = isAscending ? 'ASC' : 'DESC'
  const order = ['partition', 'log_offset', 'log_identity COLLATE "C"']
  const where =
    past === undefined
      ? ''
      : `WHERE (${order.join(', ')}) ${isAscending ? '>' : '<'}
           (${past.partition}, ${past.offset}, ${textLiteral(past.logIdentity)} COLLATE "C")`
  const select = `
    SELECT ${columns} FROM ledger.quarantine ${where}
    ORDER BY ${order.map((column) => `${column} ${direction}`).join(', ')} LIMIT ${limit}`
  return mergedRows(databases, select, limit, isAscending)
}

/** The records at one place: one for each log that had one there. */
export async function quarantinedAt(
  databases: ReadDatabases,
  partition: number,
  offset: bigint,
): Promise<QuarantinedRecord[]> {
  const database = await databases.ofPartition(partition)
  return database.read<QuarantinedRecord>(`
    SELECT ${columns} FROM ledger.quarantine
    WHERE partition = ${partition} AND log_offset = ${offset}
    ORDER BY log_identity COLLATE "C"`)
}

export async function quarantinedBytes(
  databases: ReadDatabases,
  { partition, offset, logIdentity }: QuarantinePosition,
): Promise<Uint8Array | undefined> {
  const database = await databases.ofPartition(partition)
  const rows = await database.read<{ bytes: Uint8Array }>(`
    SELECT bytes FROM ledger.quarantine
    WHERE partition = ${partition} AND log_offset = ${offset}
      AND log_identity = ${textLiteral(logIdentity)}`)
  return rows.at(0)?.bytes
}

/** As hexadecimal, so there is nothing to escape. */
function textLiteral(text: string): string {
  return `convert_from('\\x${Buffer.from(text).toString('hex')}'::bytea, 'UTF8')`
}
