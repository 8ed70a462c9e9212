// The tables of a simulated PostgreSQL that the worker's transactions read and change.
// In:  changes.
// Out: what stands in the tables.
// Absent: transactions (transaction.ts), SQL (statements.ts).

import { simulatedPartitions } from '../product.ts'
import { hashUuid } from '../../../bytes/hash64.ts'

export interface CheckpointRow {
  partition: number
  nextOffset: number
  epoch: number
  owner: string
  logIdentity: string
  /** Microseconds since 2000. */
  createdAt: number | undefined
}

export interface EntryRow {
  amount: bigint
  /** Microseconds since 2000. */
  createdAt: number
}

export type Change =
  | { table: 'checkpoints'; cause: 'new' | 'claim' | 'move'; row: CheckpointRow }
  | { table: 'transactions'; key: string; row: EntryRow }
  | { table: 'conflicts'; key: string; amount: bigint }
  | { table: 'quarantine'; at: string }
  /** A record in the write-ahead log that changes no table. */
  | { table: 'none' }

export class Tables {
  readonly checkpoints = new Map<number, CheckpointRow>()
  /** By account_id and id as 32 characters of latin1. */
  readonly transactions = new Map<string, EntryRow>()
  /** By key and amount. */
  readonly conflicts = new Set<string>()
  /** By log, partition and offset. */
  readonly quarantine = new Set<string>()

  apply(change: Change): void {
    switch (change.table) {
      case 'checkpoints':
        this.checkpoints.set(change.row.partition, change.row)
        break
      case 'transactions':
        this.transactions.set(change.key, change.row)
        break
      case 'conflicts':
        this.conflicts.add(conflictName(change.key, change.amount))
        break
      case 'quarantine':
        this.quarantine.add(change.at)
        break
      case 'none':
    }
  }

  copy(): Tables {
    const copy = new Tables()
    for (const [partition, row] of this.checkpoints) copy.checkpoints.set(partition, row)
    for (const [key, row] of this.transactions) copy.transactions.set(key, row)
    for (const conflict of this.conflicts) copy.conflicts.add(conflict)
    for (const at of this.quarantine) copy.quarantine.add(at)
    return copy
  }
}

export function conflictName(key: string, amount: bigint): string {
  return `${key} ${amount}`
}

export function quarantineName(logIdentity: string, partition: number, offset: number): string {
  return `${logIdentity} ${partition} ${offset}`
}

/** The log partition of an entry by its key. */
export function partitionOfKey(key: string): number {
  const bytes = Buffer.from(key.slice(0, 16), 'latin1')
  const words = [0, 4, 8, 12].map((at) => bytes.readInt32LE(at)) as [number, number, number, number]
  return hashUuid(...words) & (simulatedPartitions - 1)
}
