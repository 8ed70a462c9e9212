// What became of each item of a receipt, from what stands in the ledger.
// In:  a receipt, its very items, the databases.
// Out: an outcome for each item, in their order.
// Absent: waiting (persistence.ts): everything the receipt names must be persisted.

/*
 * created_at of a row is the time of the log record that brought it, in whole milliseconds; within
 * a partition a later record never has an earlier created_at, though a worker may move it forward
 * from the record's time to keep that so. A row of this request therefore has the time of the
 * request's first record in that partition, or a later one; and one that was there before, an
 * earlier time. Decision 0019 says what that cannot tell apart.
 */

import type { Batch } from '../batch/batch.ts'
import { recordedEntries, type EntryKey, type RecordedEntry } from '../ledger/recorded.ts'
import type { ReadDatabases } from '../ledger/read-databases.ts'
import type { Receipt } from '../receipt/receipt.ts'
import type { Outcome } from '../receipt/settlement.ts'
import { accountIdAt, amountAt, entryBytes, idAt, uuidBytes } from '../record/layout.ts'
import { isPersisted } from './persistence.ts'

/** Undefined where the servers that were asked are behind the receipt. */
export async function outcomesOf(
  databases: ReadDatabases,
  receipt: Receipt,
  batch: Batch,
): Promise<Outcome[] | undefined> {
  const keys = keysOf(batch)
  const { entries, progress } = await recordedEntries(databases, keys)
  if (![...receipt.records].every((record) => isPersisted(progress, record))) return undefined
  return judge(receipt, batch, keys, entries)
}

function keysOf({ count, entries, partitions }: Batch): EntryKey[] {
  const bytes = Buffer.from(entries.buffer, entries.byteOffset, entries.byteLength)
  return Array.from({ length: count }, (_, index) => {
    const hexAt = (at: number): string => {
      const from = index * entryBytes + at
      return bytes.toString('hex', from, from + uuidBytes)
    }
    return { partition: partitions[index], accountId: hexAt(accountIdAt), id: hexAt(idAt) }
  })
}

function judge(
  { records }: Receipt,
  { entries }: Batch,
  keys: readonly EntryKey[],
  recorded: readonly (RecordedEntry | undefined)[],
): Outcome[] {
  const view = new DataView(entries.buffer, entries.byteOffset, entries.byteLength)
  const seen = new Set<string>()
  return keys.map(({ partition, accountId, id }, index) => {
    const isRepeat = seen.size === seen.add(accountId + id).size
    const found = recorded[index]
    if (found === undefined) return { kind: 'unknown' }
    const amount = view.getBigInt64(index * entryBytes + amountAt, true)
    if (found.amount !== String(amount)) {
      return { kind: 'conflict', recordedAmount: found.amount }
    }
    const time = records.get(partition)?.time ?? Infinity
    return { kind: isRepeat || found.acceptedAt < time ? 'duplicate' : 'created' }
  })
}
