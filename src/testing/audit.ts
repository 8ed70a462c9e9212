// Compares the tables with the log itself: what lies below the checkpoints must be in them, and
// nothing else.
// In:  every record of the log, and the databases, while nobody writes them.
// Out: a report as of the checker, with records in place of requests.
// Absent: the clients; the program's code.

import assert from 'node:assert/strict'
import { check, type CheckReport } from './checker.ts'
import { readCheckpoints, type CheckpointRow } from './checker-tables.ts'
import { beginAttempt, endAttempt, History } from './history.ts'

export interface SeenRecord {
  partition: number
  offset: number
  /** Milliseconds since 1970 UTC. */
  timestamp: number
  bytes: Uint8Array
}

/**
 * The tables must be exactly what the records below the checkpoints make of them, in their order:
 * the first amount of a key is its row, every other one a conflict. `badRecords`, by
 * `partition/offset`, are in quarantine instead.
 */
export async function auditLog(
  databases: readonly string[],
  records: readonly SeenRecord[],
  badRecords: ReadonlyMap<string, string> = new Map(),
): Promise<CheckReport> {
  const checkpoints = await allCheckpoints(databases)
  const history = new History()
  for (const record of records) {
    if (badRecords.has(`${record.partition}/${record.offset}`)) continue
    if (record.offset < (checkpoints.get(record.partition) ?? 0)) addRecord(history, record)
  }
  const report = await check({ databases, history, badRecords, ignoreTimes: true })
  assert.deepEqual(await allCheckpoints(databases), checkpoints, 'nobody may write meanwhile')
  return report
}

async function allCheckpoints(databases: readonly string[]): Promise<Map<number, number>> {
  const rows: CheckpointRow[] = []
  for (const url of databases) rows.push(...(await readCheckpoints(url)))
  const reached = new Map<number, number>()
  for (const { partition, nextOffset } of rows) {
    reached.set(partition, Math.max(reached.get(partition) ?? 0, nextOffset))
  }
  return reached
}

/* Record => *( 0A 2D 0A 10 id[16] 12 10 account_id[16] 19 amount[8, little endian] ) */
function addRecord(history: History, { partition, offset, bytes }: SeenRecord): void {
  const batch = history.begin()
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  for (let at = 0; at < view.length; at += 47) {
    const fits =
      view.readUInt32BE(at) === 0x0a2d0a10 &&
      view.readUInt16BE(at + 20) === 0x1210 &&
      view[at + 38] === 0x19
    assert(fits, `partition ${partition} offset ${offset}: expected an entry at byte ${at}`)
    const id = view.subarray(at + 4, at + 20)
    history.add(id, view.subarray(at + 22, at + 38), view.readBigInt64LE(at + 39))
  }
  // Records stand for requests that were sent and acknowledged one after the other.
  const order = history.batches.length
  const attempt = beginAttempt(batch, `partition ${partition} offset ${offset}`, order)
  endAttempt(attempt, 'acknowledged', 'in the log, below the checkpoint', order)
}
