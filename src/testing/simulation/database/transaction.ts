// One transaction of a simulated PostgreSQL: its changes, its savepoint, its locks.
// In:  changes and names of what is to be locked.
// Out: reads that see its own changes over those that are committed.
// Absent: waiting (session.ts), making changes visible (server.ts).

import { postgresError } from './errors.ts'
import type { CopiedRow } from './copy-data.ts'
import type { Change, CheckpointRow, EntryRow, Tables } from './tables.ts'

/** Thrown by a statement that has to wait until another transaction is over. */
export class Blocked extends Error {
  readonly holder: Transaction

  constructor(holder: Transaction) {
    super('waits for another transaction')
    this.holder = holder
  }
}

/** What is locked, by name, until the transaction that did is over. */
export type Locks = Map<string, Transaction>

export class Transaction {
  /** Names the session in traces. */
  readonly session: string
  readonly tables: Tables
  readonly changes: Change[] = []
  /** Of COPY into the temporary table; undefined while there is none. */
  incoming: CopiedRow[] | undefined
  isExplicit = false
  isFailed = false
  isSynchronous = true
  lockTimeoutMs = Infinity
  private savepoint: number | undefined
  private readonly locks: Locks

  constructor(session: string, tables: Tables, locks: Locks) {
    this.session = session
    this.tables = tables
    this.locks = locks
  }

  lock(name: string): void {
    const holder = this.locks.get(name)
    if (holder !== undefined && holder !== this) throw new Blocked(holder)
    this.locks.set(name, this)
  }

  /** Whose change of it is not committed. */
  holderOf(name: string): Transaction | undefined {
    return this.locks.get(name)
  }

  releaseLocks(): void {
    for (const [name, holder] of this.locks) if (holder === this) this.locks.delete(name)
  }

  setSavepoint(): void {
    this.savepoint = this.changes.length
  }

  releaseSavepoint(): void {
    if (this.savepoint === undefined) throw postgresError('3B001', 'savepoint does not exist')
    this.savepoint = undefined
  }

  rollbackToSavepoint(): void {
    if (this.savepoint === undefined) throw postgresError('3B001', 'savepoint does not exist')
    this.changes.length = this.savepoint
    this.isFailed = false
  }

  checkpoint(partition: number): CheckpointRow | undefined {
    for (let i = this.changes.length - 1; i >= 0; i--) {
      const change = this.changes[i]
      if (change.table === 'checkpoints' && change.row.partition === partition) return change.row
    }
    return this.tables.checkpoints.get(partition)
  }

  entry(key: string): EntryRow | undefined {
    const own = this.changes.find((one) => one.table === 'transactions' && one.key === key)
    return own?.table === 'transactions' ? own.row : this.tables.transactions.get(key)
  }

  /** False when the key is there already. */
  insert({ key, amount, createdAt }: CopiedRow): boolean {
    if (this.entry(key) !== undefined) return false
    this.lock(`key ${key}`)
    this.changes.push({ table: 'transactions', key, row: { amount, createdAt } })
    return true
  }
}
