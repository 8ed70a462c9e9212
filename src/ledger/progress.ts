// How far the partitions of one database are persisted, in one short answer.
// In:  the databases.
// Out: the next offset and the log of each partition, as committed and visible.
// Absent: owners and epochs (checkpoint.ts), moving anything.

import { partitionCount } from '../record/layout.ts'
import type { ReadDatabases } from './read-databases.ts'

export interface Progress {
  /** By partition, the first offset that is not in the tables; -1 where nobody began. */
  next: Float64Array
  /** By partition, the log that these offsets belong to. */
  logIdentities: readonly (string | undefined)[]
}

/**
 * One row for each log, of which there is but one as a rule: whoever waits asks this many times a
 * second.
 */
const progressSql = `
  SELECT log_identity AS "logIdentity",
    string_agg(partition || ' ' || next_offset, ',') AS partitions
  FROM ledger.checkpoints GROUP BY log_identity`

export async function progressOf(
  databases: ReadDatabases,
  databaseIndex: number,
): Promise<Progress> {
  const pool = await databases.poolAt(databaseIndex)
  const rows = await pool.read<{ logIdentity: string; partitions: string }>(progressSql)
  const next = new Float64Array(partitionCount).fill(-1)
  const logIdentities = new Array<string | undefined>(partitionCount).fill(undefined)
  for (const { logIdentity, partitions } of rows) {
    for (const pair of partitions.split(',')) {
      const space = pair.indexOf(' ')
      const partition = Number(pair.slice(0, space))
      next[partition] = Number(pair.slice(space + 1))
      logIdentities[partition] = logIdentity
    }
  }
  return { next, logIdentities }
}
