// What must be true of a simulated run, looked at with every commit, every acknowledgement and at
// the end.
// In:  the log as it is outside of the program; each commit, acknowledgement, release and report.
// Out: violations, each a kind and a sentence.
// Absent: any code of the program but the layout of an entry.

import { flushDifference } from './expected-flush.ts'
import type { Peer } from './database/session.ts'
import type { Change, Tables } from './database/tables.ts'
import type { Topic } from './topic.ts'

/**
 * - `fence`: a process moved a checkpoint that another process had claimed.
 * - `order`: a checkpoint went back, or not to just after a record.
 * - `content`: a commit has other rows than the records it covers.
 * - `acknowledged`: a request was acknowledged that is not durable.
 * - `told`: a process says more is committed than is.
 * - `released`: the log may forget what a crash of PostgreSQL would need again.
 * - `contract`: the log was used as its interface forbids.
 * - `stuck`: the faults are over, and not everything is applied, or nobody says why.
 * - `bug`: an assertion of the program failed, or something was thrown that nobody caught.
 */
export type ViolationKind =
  | 'fence'
  | 'order'
  | 'content'
  | 'acknowledged'
  | 'told'
  | 'released'
  | 'contract'
  | 'stuck'
  | 'bug'

export interface Violation {
  kind: ViolationKind
  message: string
}

export interface SentItem {
  partition: number
  key: string
  amount: bigint
}

export class History {
  /** The first; what comes after it may only follow from it. */
  violation: Violation | undefined
  commits = 0
  applied = 0
  acknowledged = 0
  private readonly topic: Topic
  /** Furthest that each partition was ever committed, since the log is this one. */
  private readonly furthest = new Map<number, number>()
  private readonly sent = new Set<string>()

  constructor(topic: Topic) {
    this.topic = topic
  }

  violated(kind: ViolationKind, message: string): void {
    this.violation ??= { kind, message }
  }

  wasSent({ key, amount }: SentItem): void {
    this.sent.add(`${key} ${amount}`)
  }

  committed(peer: Peer, changes: readonly Change[], before: Tables): void {
    const moves = changes.filter((one) => one.table === 'checkpoints' && one.cause === 'move')
    for (const move of moves) {
      if (move.table === 'checkpoints')
        this.moved(peer, move.row.partition, move.row.nextOffset, before)
    }
    // What was under way when the log was deleted is of that one, and nobody has it any more.
    if (peer.logIdentity !== this.topic.identity) return
    const difference = flushDifference(this.topic, changes, before)
    if (difference !== undefined) this.violated('content', `${peer.name}: ${difference}`)
    for (const change of changes) {
      if (change.table !== 'transactions') continue
      this.applied++
      const { key, row } = change
      if (!this.sent.has(`${key} ${row.amount}`)) this.violated('content', 'a row nobody sent')
    }
    if (moves.length > 0) this.commits++
  }

  private moved(peer: Peer, partition: number, to: number, before: Tables): void {
    const row = before.checkpoints.get(partition)
    const where = `${peer.name}: partition ${partition} to ${to}`
    if (row === undefined) {
      this.violated('fence', `${where}, which nobody has claimed`)
      return
    }
    if (row.owner !== peer.owner) {
      this.violated('fence', `${where}, which ${row.owner} has claimed under epoch ${row.epoch}`)
    }
    if (row.logIdentity !== peer.logIdentity) this.violated('fence', `${where}, of another log`)
    if (peer.logIdentity !== this.topic.identity) return
    const isAfterRecord = this.topic.recordsFrom(partition, to - 1).at(0)?.offset === to - 1
    if (to <= row.nextOffset || !isAfterRecord) {
      this.violated('order', `${where} from ${row.nextOffset}`)
    }
    this.furthest.set(partition, Math.max(to, this.furthest.get(partition) ?? 0))
  }

  wasAcknowledged(items: readonly SentItem[], offsets: Float64Array): void {
    this.acknowledged++
    for (const { partition, key, amount } of items) {
      const records = this.topic.partitions[partition].records
      const isDurable = records.some(({ offset, entries = [] }) => {
        const isIt = entries.some((one) => one.key === key && one.amount === amount)
        return isIt && offset <= (offsets[partition] ?? -1)
      })
      if (!isDurable) {
        const message = `partition ${partition}, up to offset ${offsets[partition]}: not in the log`
        this.violated('acknowledged', message)
      }
    }
  }

  told(process: string, partition: number, nextOffset: number): void {
    if (nextOffset <= (this.furthest.get(partition) ?? 0)) return
    const message = `${process} says that partition ${partition} is committed to ${nextOffset}`
    this.violated('told', message)
  }

  /** `durable` is how far each partition ever was on PostgreSQL's disk. */
  released(positions: ReadonlyMap<number, number>, durable: ReadonlyMap<number, number>): void {
    for (const [partition, offset] of positions) {
      const safe = durable.get(partition) ?? 0
      if (offset <= safe) continue
      this.violated('released', `partition ${partition} to ${offset}, on disk are ${safe}`)
    }
  }

  /** What is still to be applied, or is there that should not be; undefined when all is well. */
  unfinished(tables: Tables, haltReasons: readonly string[]): string | undefined {
    const rows = [...tables.checkpoints.values()]
    // A claim is refused whole where one of its partitions is of another log.
    const mayRefuse = rows.some(({ logIdentity }) => logIdentity !== this.topic.identity)
    for (const [partition, state] of this.topic.partitions.entries()) {
      const row = tables.checkpoints.get(partition)
      const isOurs = row === undefined || row.logIdentity === this.topic.identity
      const next = row?.nextOffset ?? 0
      const mustHalt = !isOurs || next < state.first || next > state.next
      const isHalted = haltReasons.some((one) => one.startsWith(`partition ${partition} is halted`))
      const where = `partition ${partition} at ${next}`
      if (mustHalt !== isHalted && !(isHalted && mayRefuse)) {
        return isHalted ? `${where} is halted for no reason` : `${where}: nobody says it is halted`
      }
      const rest = this.topic.recordsFrom(partition, next)
      if (!isHalted && rest.length > 0) return `${where}: not all is applied`
    }
    return undefined
  }
}
