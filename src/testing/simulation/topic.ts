// The simulated log itself, outside of every process: records by partition, durable once they are
// here.
// In:  appends; what is trimmed.
// Out: records from an offset on; all there ever were, for whoever checks.
// Absent: clients (log.ts), the time that anything takes.

import { accountIdAt, amountAt, entryBytes, idAt } from '../../record/layout.ts'
import type { Random } from '../random.ts'
import { simulatedPartitions } from './product.ts'

export interface TopicEntry {
  key: string
  amount: bigint
}

export interface TopicRecord {
  partition: number
  offset: number
  timestamp: number
  bytes: Uint8Array
  /** Undefined for a record that no worker can decode. */
  entries: readonly TopicEntry[] | undefined
}

interface TopicPartition {
  /** Offset of the first record that can be read. */
  first: number
  next: number
  /** Ascending, those that were trimmed included. */
  records: TopicRecord[]
}

export class Topic {
  identity = 'simulated log'
  readonly partitions: TopicPartition[] = Array.from({ length: simulatedPartitions }, () => ({
    first: 0,
    next: 0,
    records: [],
  }))
  /** Why appends and reads fail now, if they do. */
  outage: 'refuses' | 'loses-answers' | undefined
  private readonly random: Random
  private waiting: (() => void)[] = []

  constructor(random: Random) {
    this.random = random
  }

  append(partition: number, bytes: Uint8Array, timestamp: number, isDecodable = true): number {
    const { records } = this.partitions[partition]
    const state = this.partitions[partition]
    // As where a broker wrote a record of its own.
    if (this.random.chance(0.1)) state.next += 1 + this.random.below(3)
    const offset = state.next++
    const entries = isDecodable ? entriesOf(bytes) : undefined
    records.push({ partition, offset, timestamp, bytes: Uint8Array.from(bytes), entries })
    const { waiting } = this
    this.waiting = []
    for (const wake of waiting) wake()
    return offset
  }

  /** Called once, at the next append. */
  onAppend(wake: () => void): void {
    this.waiting.push(wake)
  }

  recordsFrom(partition: number, offset: number): TopicRecord[] {
    const { records } = this.partitions[partition]
    let at = records.length
    while (at > 0 && records[at - 1].offset >= offset) at--
    return records.slice(at)
  }

  trim(partition: number, before: number): void {
    const state = this.partitions[partition]
    state.first = Math.max(state.first, Math.min(before, state.next))
  }

  /** Another log under the same name, with records of others. */
  recreate(identity: string): void {
    this.identity = identity
    for (const state of this.partitions) {
      state.first = 0
      state.next = 0
      state.records = []
    }
  }
}

function entriesOf(bytes: Uint8Array): TopicEntry[] {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  return Array.from({ length: bytes.length / entryBytes }, (_, index) => {
    const at = index * entryBytes
    const account = buffer.toString('latin1', at + accountIdAt, at + accountIdAt + 16)
    const id = buffer.toString('latin1', at + idAt, at + idAt + 16)
    return { key: account + id, amount: buffer.readBigInt64LE(at + amountAt) }
  })
}
