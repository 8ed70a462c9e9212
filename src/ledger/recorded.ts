// What stands in the ledger under many keys at once.
// In:  keys of (account_id, id), with the partitions of their accounts.
// Out: amount and time of each that is there.
// Absent: HTTP, receipts, what that means for whoever sent them (query/outcomes.ts).

import assert from 'node:assert/strict'
import { requestItemsMax } from '../limits.ts'
import { bucketTable } from './buckets.ts'
import type { ReadDatabases } from './read-databases.ts'

export interface EntryKey {
  partition: number
  /** Lower-case UUIDs. */
  accountId: string
  id: string
}

export interface RecordedEntry {
  /** Decimal. */
  amount: string
  /** When its log record was accepted, in whole milliseconds since 1970 UTC. */
  acceptedAt: number
}

interface Row {
  accountId: string
  id: string
  amount: string
  acceptedAt: string
}

/** Entries by `entryKey`. One query for each database, all at the same time. */
export async function recordedEntries(
  databases: ReadDatabases,
  keys: readonly EntryKey[],
): Promise<Map<string, RecordedEntry>> {
  assert(keys.length <= requestItemsMax)
  const byDatabase = groupBy(keys, ({ partition }) => databases.indexOf(partition))
  const found = new Map<string, RecordedEntry>()
  await Promise.all(
    [...byDatabase].map(async ([databaseIndex, own]) => {
      const byBucket = groupBy(own, ({ partition }) => databases.bucketOf(partition))
      const arms = [...byBucket].map(([bucket, inBucket]) => lookUpSql(bucket, inBucket))
      const pool = await databases.poolAt(databaseIndex)
      for (const row of await pool.read<Row>(arms.join(' UNION ALL '))) {
        const { amount, acceptedAt } = row
        found.set(entryKey(row), { amount, acceptedAt: Number(acceptedAt) })
      }
    }),
  )
  return found
}

export function entryKey({ accountId, id }: Pick<EntryKey, 'accountId' | 'id'>): string {
  return accountId + id
}

function groupBy<T>(values: readonly T[], groupOf: (value: T) => number): Map<number, T[]> {
  const groups = new Map<number, T[]>()
  for (const value of values) {
    const group = groups.get(groupOf(value))
    if (group === undefined) groups.set(groupOf(value), [value])
    else group.push(value)
  }
  return groups
}

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
    SELECT t.account_id AS "accountId", t.id, t.amount::text,
      floor(extract(epoch FROM t.created_at) * 1000)::text AS "acceptedAt"
    FROM unnest('{${accounts.join()}}'::uuid[], '{${ids.join()}}'::uuid[]) k (account_id, id)
    JOIN ${bucketTable(bucket)} t ON t.account_id = k.account_id AND t.id = k.id
      AND t.id BETWEEN '${sorted[0]}' AND '${sorted.at(-1)}'`
}
