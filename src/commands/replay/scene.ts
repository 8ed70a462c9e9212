// Where a replay stands: what each database has, what the log has, and what that allows.
// In:  databases, the log.
// Out: how far each partition is to be replayed; or why it cannot be.
// Absent: replaying.

import { LedgerError } from '../../errors.ts'
import { daysBefore } from '../../ledger/archive-days.ts'
import type { Layout } from '../../ledger/buckets.ts'
import { bucketsOf } from '../../ledger/buckets.ts'
import type { LeafSpan } from '../../ledger/leaves.ts'
import { readLayout } from '../../ledger/migrate.ts'
import { kept, made, positionsOf, schemasOf, served, type Position } from '../../ledger/replay.ts'
import type { Log, LogRange } from '../../log/log.ts'
import type { Connection } from '../../postgres/connection.ts'
import { partitionCount } from '../../record/layout.ts'
import { bucketOf } from '../../record/partition.ts'

export interface DatabaseScene {
  url: string
  connection: Connection
  layout: Layout
  /** Of what is served; undefined where there is nothing. */
  served: readonly Position[] | undefined
  /** It was swapped by a replay that has not done so with the others. */
  isDone: boolean
  /** How many partitions' tables are begun. */
  begun: readonly Position[]
  /** For leaves to be made ahead; undefined where nobody knows. */
  days: LeafSpan | undefined
}

export async function sceneOf(
  connection: Connection,
  url: string,
  layout: Layout,
): Promise<DatabaseScene> {
  const schemas = await schemasOf(connection)
  const begun = schemas.has(made) ? await positionsOf(connection, made) : []
  const isDone = schemas.has(kept) && !schemas.has(made)
  const base = { url, connection, begun, isDone }
  if (schemas.has(kept) && schemas.has(made)) {
    throw new LedgerError(
      'LAYOUT_MISMATCH',
      `${connection.where}: expected no schema ${kept}, found one of an earlier replay. ` +
        'Drop it first: replay --drop-old.',
    )
  }
  if (!schemas.has(served)) return { ...base, layout, served: undefined, days: undefined }
  const own = await readLayout(connection)
  if (own.databases !== layout.databases || own.databaseIndex !== layout.databaseIndex) {
    throw new LedgerError(
      'LAYOUT_MISMATCH',
      `${connection.where}: expected database ${layout.databaseIndex} of ${layout.databases}, as ` +
        `--database-url says, found ${own.databaseIndex} of ${own.databases}.`,
    )
  }
  const days = (await daysBefore(connection, '9999-12-31')).map(({ day }) => new Date(day))
  const [first, last] = [days.at(0), days.at(-1)]
  return {
    ...base,
    layout: own,
    served: await positionsOf(connection, served),
    days: first && last && { from: first, to: last },
  }
}

const shownMax = 10

/**
 * Where each partition's replay ends: at what is served, so that the two can be compared; at the
 * end of the log where nothing is.
 *
 * @throws LedgerError OFFSET_GONE with all that is missing, OFFSET_BEYOND_END, LOG_IDENTITY_CHANGED
 */
export async function targetsOf(
  scenes: readonly DatabaseScene[],
  log: Log,
): Promise<Map<number, number>> {
  const partitions = Array.from({ length: partitionCount }, (_, partition) => partition)
  const ranges = await log.ranges(partitions)
  const targets = new Map<number, number>()
  const missing: string[] = []
  for (const { connection, layout, served: before, begun, isDone } of scenes) {
    for (const { logIdentity, partition } of [...(before ?? []), ...begun]) {
      if (logIdentity === log.identity) continue
      throw new LedgerError(
        'LOG_IDENTITY_CHANGED',
        `Partition ${partition}: ${connection.where} was written from log "${logIdentity}", and ` +
          `the log is "${log.identity}". Nothing of it can be made anew from this one.`,
      )
    }
    const own = new Set(bucketsOf(layout))
    for (const partition of partitions) {
      if (isDone || !own.has(bucketOf(partition, layout.buckets))) continue
      const range = ranges.get(partition) ?? { first: 0, next: 0 }
      const at = (all: readonly Position[]): number =>
        all.find((one) => one.partition === partition)?.nextOffset ?? 0
      const target = before === undefined ? range.next : at(before)
      targets.set(partition, target)
      expectEnd(partition, target, range)
      const from = at(begun)
      if (from < Math.min(range.first, target)) {
        const last = Math.min(range.first, target) - 1
        missing.push(`partition ${partition}: offsets ${from} to ${last}`)
      }
    }
  }
  if (missing.length === 0) return targets
  const more = missing.length > shownMax ? `; and of ${missing.length - shownMax} more` : ''
  throw new LedgerError(
    'OFFSET_GONE',
    `The log does not reach back to where the ledger began. Gone are ` +
      `${missing.slice(0, shownMax).join('; ')}${more}. Tables can be made ` +
      'anew only from a log that has kept everything: on Kafka by the retention of its topic, ' +
      'the embedded one by --keep-log from the beginning.',
  )
}

function expectEnd(partition: number, target: number, { next }: LogRange): void {
  if (target <= next) return
  throw new LedgerError(
    'OFFSET_BEYOND_END',
    `Partition ${partition}: the tables have all before offset ${target}, the log ends before ` +
      `${next}: it has lost records, and tables made from it would lack them.`,
  )
}
