// How far the partitions of one database are persisted, in one short answer.
// In:  the databases.
// Out: the next offset and the log of each partition, as committed and visible.
// Absent: owners and epochs (checkpoint.ts), moving anything.

import { partitionCount } from '../record/layout.ts'
import type { ReadDatabase } from './read-databases.ts'

export interface Progress {
  /** By partition, the first offset that is not in the tables; -1 where nobody began. */
  next: Float64Array
  /** By partition, the log that these offsets belong to. */
  logIdentities: (string | undefined)[]
}

/** All partitions of a log in one value: whoever waits asks for it many times a second. */
export const progressColumn = `string_agg(partition || ' ' || next_offset, ',')`

const progressSql = `
  SELECT log_identity AS "logIdentity", ${progressColumn} AS partitions
  FROM ledger.checkpoints GROUP BY log_identity`

interface Row {
  logIdentity: string
  partitions: string
}

export async function progressOf(database: ReadDatabase): Promise<Progress> {
  const progress = noProgress()
  for (const { logIdentity, partitions } of await database.read<Row>(progressSql)) {
    addProgress(progress, partitions, logIdentity)
  }
  return progress
}

export function noProgress(): Progress {
  return {
    next: new Float64Array(partitionCount).fill(-1),
    logIdentities: new Array<string | undefined>(partitionCount).fill(undefined),
  }
}

/** @param partitions as `progressColumn` returns them */
export function addProgress(
  { next, logIdentities }: Progress,
  partitions: string,
  logIdentity: string,
): void {
  for (const pair of partitions.split(',')) {
    const space = pair.indexOf(' ')
    const partition = Number(pair.slice(0, space))
    next[partition] = Number(pair.slice(space + 1))
    logIdentities[partition] = logIdentity
  }
}
