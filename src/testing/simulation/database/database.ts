// A simulated PostgreSQL server: sessions, commits that others see before they are on disk, and
// what is left of it all after a crash.
// In:  sessions.
// Out: tables as committed, and as a crash would leave them; each commit to whoever looks on.
// Absent: SQL (statements.ts), the network (client.ts).

import { beginning } from '../environment.ts'
import type { Random } from '../../random.ts'
import type { Scheduler } from '../scheduler.ts'
import { simulatedPartitions } from '../product.ts'
import { Session, type Peer } from './session.ts'
import type { Context } from './statements.ts'
import { Tables, type Change } from './tables.ts'
import { Transaction, type Locks } from './transaction.ts'

export interface DatabaseOptions {
  scheduler: Scheduler
  random: Random
  buckets: number
  trace: (text: () => string) => void
  /** Told of each commit before it is visible. */
  onCommit: (peer: Peer, changes: readonly Change[], before: Tables) => void
}

export class Database {
  /** What others see. */
  visible = new Tables()
  /** What is on disk: behind `visible` by the commits of synchronous_commit = off. */
  durable = new Tables()
  /** Next offset of each partition, the furthest that was ever on disk. */
  readonly everDurable = new Map<number, number>()
  isUp = true
  readonly trace: DatabaseOptions['trace']
  readonly context: Pick<Context, 'buckets' | 'terminateHolders' | 'leafTables'>
  private readonly options: DatabaseOptions
  private unflushed: (readonly Change[])[] = []
  private isFlushDue = false
  private locks: Locks = new Map()
  private readonly sessions = new Set<Session>()
  private sessionsBegun = 0
  private backup: Tables | undefined

  constructor(options: DatabaseOptions) {
    const { buckets } = options
    this.options = options
    this.trace = options.trace
    this.context = {
      buckets,
      leafTables: () => (leafTableNames ??= leafTables()),
      terminateHolders: (names, caller) => this.terminateHolders(names, caller),
    }
  }

  /** A new session; undefined while the server is down. */
  accept(peer: Peer): Session | undefined {
    if (!this.isUp) return undefined
    const session = new Session(this, `session ${++this.sessionsBegun} of ${peer.name}`, peer)
    this.sessions.add(session)
    return session
  }

  leave(session: Session): void {
    this.sessions.delete(session)
  }

  begin(session: Session): Transaction {
    return new Transaction(session.name, this.visible, this.locks)
  }

  after(milliseconds: number, run: () => void): void {
    this.options.scheduler.after(milliseconds, undefined, run)
  }

  /** With synchronous_commit = on, `then` comes when this and all before it are on disk. */
  commit(session: Session, transaction: Transaction, then: () => void): void {
    const { changes, isSynchronous } = transaction
    if (changes.length === 0) {
      then()
      return
    }
    const makeVisible = (): void => {
      this.options.onCommit(session.peer, changes, this.visible)
      for (const change of changes) this.visible.apply(change)
      this.unflushed.push(changes)
    }
    if (isSynchronous) {
      this.after(0.5 + 3 * this.options.random.fraction(), () => {
        if (session.isEnded) return
        makeVisible()
        this.flush()
        then()
      })
    } else {
      makeVisible()
      this.flushLater()
      then()
    }
  }

  /** Ends a transaction, however it went: its locks are free. */
  over(transaction: Transaction): void {
    transaction.releaseLocks()
    for (const session of this.sessions) {
      if (session.waitsFor === transaction) this.after(0, () => session.wake())
    }
  }

  isDeadlocked(session: Session): boolean {
    const holders = new Set<Transaction>()
    for (let holder = session.waitsFor; holder && !holders.has(holder);) {
      holders.add(holder)
      if (holder === session.transaction) return true
      const transaction = holder
      holder = [...this.sessions].find((one) => one.transaction === transaction)?.waitsFor
    }
    return false
  }

  /** What was committed and not yet on disk is forgotten. */
  crash(): void {
    this.goDown(this.durable)
  }

  takeBackup(): void {
    this.backup = this.durable.copy()
  }

  /** Comes back as it was when the backup was taken; false when there is none. */
  restore(): boolean {
    if (this.backup === undefined) return false
    this.goDown(this.backup)
    return true
  }

  start(): void {
    this.isUp = true
  }

  /** Ends some sessions, and what they had not committed. */
  terminateSome(random: Random): void {
    for (const session of [...this.sessions]) if (random.chance(0.5)) session.terminate()
  }

  private goDown(left: Tables): void {
    this.isUp = false
    for (const session of [...this.sessions]) session.terminate()
    this.unflushed = []
    this.locks = new Map()
    this.visible = left.copy()
    this.durable = left.copy()
  }

  private flush(): void {
    for (const changes of this.unflushed) {
      for (const change of changes) this.durable.apply(change)
    }
    this.unflushed = []
    for (const { partition, nextOffset } of this.durable.checkpoints.values()) {
      const before = this.everDurable.get(partition) ?? 0
      this.everDurable.set(partition, Math.max(before, nextOffset))
    }
  }

  private flushLater(): void {
    if (this.isFlushDue) return
    this.isFlushDue = true
    this.after(600 * this.options.random.fraction(), () => {
      this.isFlushDue = false
      this.flush()
    })
  }

  private terminateHolders(names: readonly string[], caller: Transaction): void {
    const holders = new Set(names.map((name) => this.locks.get(name)))
    for (const session of [...this.sessions]) {
      if (session.transaction === caller || !holders.has(session.transaction)) continue
      if (session.transaction !== undefined) session.terminate()
    }
  }
}

let leafTableNames: string[] | undefined

/** Of the days around the beginning, so that upkeep finds nothing to create. */
function leafTables(): string[] {
  const names: string[] = []
  for (let bucket = 0; bucket < simulatedPartitions; bucket++) {
    for (let day = -3; day <= 5; day++) {
      const date = new Date(beginning + day * 86_400_000).toISOString().slice(0, 10)
      const suffix = date.replaceAll('-', '')
      names.push(`ledger.transactions_b${String(bucket).padStart(2, '0')}_${suffix}`)
    }
  }
  return names
}
