// What stands in the ledger under many keys at once.
// In:  keys of (account_id, id), with the partitions of their accounts.
// Out: amount and time of each that is there, and how far the ledger was when it was looked at.
// Absent: HTTP, receipts, what that means for whoever sent them (query/outcomes.ts).

import assert from 'node:assert/strict'
import { requestItemsMax } from '../limits.ts'
import { bucketOf } from '../record/partition.ts'
import { bucketTable } from './buckets.ts'
import { addProgress, noProgress, progressColumn, type Progress } from './progress.ts'
import type { ReadDatabases } from './read-databases.ts'

export interface EntryKey {
  partition: number
  /** UUIDs as 32 lower-case hexadecimal digits. */
  accountId: string
  id: string
}

export interface RecordedEntry {
  /** Decimal. */
  amount: string
  /** When its log record was accepted, in whole milliseconds since 1970 UTC. */
  acceptedAt: number
}

export interface Recorded {
  /** One for each key, in their order; undefined where the ledger has none. */
  entries: (RecordedEntry | undefined)[]
  /** Of the servers that were asked. */
  progress: Progress
}

/**
 * The entries of a bucket in one value, which costs the driver a tenth of what 5000 rows do; or,
 * with the identity of a log, its progress.
 */
interface Row {
  bucket: number | null
  found: string | null
  logIdentity: string | null
}

/**
 * One query for each database, all at the same time. Progress is read in the same snapshot: a
 * replica may be behind the one that said a moment ago how far it was, and a crash of PostgreSQL
 * takes the last commits back.
 */
export async function recordedEntries(
  databases: ReadDatabases,
  keys: readonly EntryKey[],
): Promise<Recorded> {
  assert(keys.length <= requestItemsMax)
  const find = await databases.finder()
  /** Indexes of the keys of each bucket. */
  const byBucket = new Map<number, number[]>()
  const bucketsOf = new Map<number, Set<number>>()
  keys.forEach(({ partition }, index) => {
    const bucket = bucketOf(partition, databases.buckets)
    addTo(byBucket, bucket, () => []).push(index)
    addTo(bucketsOf, find(partition).databaseIndex, () => new Set<number>()).add(bucket)
  })
  const entries = new Array<RecordedEntry | undefined>(keys.length).fill(undefined)
  const progress = noProgress()
  await Promise.all(
    [...bucketsOf.values()].map(async (buckets) => {
      const arms = [...buckets].map((bucket) => {
        return lookUpSql(bucket, byBucket.get(bucket)?.map((index) => keys[index]) ?? [])
      })
      const [first] = buckets
      for (const row of await find(first).read<Row>([...arms, progressArm].join(' UNION ALL '))) {
        const { bucket, found, logIdentity } = row
        if (logIdentity !== null) addProgress(progress, found ?? '', logIdentity)
        else addEntries(entries, byBucket.get(bucket ?? -1) ?? [], found ?? '')
      }
    }),
  )
  return { entries, progress }
}

function addTo<T>(groups: Map<number, T>, group: number, make: () => T): T {
  const known = groups.get(group) ?? make()
  groups.set(group, known)
  return known
}

/** In the columns of the entries. */
const progressArm = `
    SELECT NULL, ${progressColumn}, log_identity FROM ledger.checkpoints GROUP BY log_identity`

/**
 * A join, so that PostgreSQL may look each key up, or read a leaf that has no key yet once for all
 * of them: 300 keys of a bucket take 2 ms in the one case and 40 ms in the other, with half a
 * million rows there. The bounds keep leaves of other times out of the plan, and from being locked.
 */
function lookUpSql(bucket: number, keys: readonly EntryKey[]): string {
  const accounts = keys.map(({ accountId }) => accountId)
  const ids = keys.map(({ id }) => id)
  const sorted = [...ids].sort()
  return `
    SELECT ${bucket} AS bucket, string_agg(concat_ws(' ', k.ordinal, t.amount,
        floor(extract(epoch FROM t.created_at) * 1000)), ',') AS found, NULL AS "logIdentity"
    FROM unnest('{${accounts.join()}}'::uuid[], '{${ids.join()}}'::uuid[])
      WITH ORDINALITY k (account_id, id, ordinal)
    JOIN ${bucketTable(bucket)} t ON t.account_id = k.account_id AND t.id = k.id
      AND t.id BETWEEN '${sorted[0]}' AND '${sorted.at(-1)}'`
}

/** @param indexes of the keys that were looked up, whose ordinals count from 1 */
function addEntries(
  entries: (RecordedEntry | undefined)[],
  indexes: readonly number[],
  found: string,
): void {
  if (found === '') return
  for (const one of found.split(',')) {
    const [ordinal, amount, acceptedAt] = one.split(' ')
    entries[indexes[Number(ordinal) - 1]] = { amount, acceptedAt: Number(acceptedAt) }
  }
}
