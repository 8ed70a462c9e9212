// What a commit must hold, going by the records that its checkpoints move over.
// In:  the log; a transaction's changes; the tables before it.
// Out: the first difference, as a sentence; nothing where it is exactly that.
// Absent: how the program comes to its rows.

import { conflictName, quarantineName, type Change, type Tables } from './database/tables.ts'
import type { Topic, TopicRecord } from './topic.ts'

interface Expected {
  transactions: Map<string, { amount: bigint; createdAt: number }>
  conflicts: Set<string>
  quarantine: Set<string>
  /** Of each partition's last record with entries, where there is one. */
  createdAt: Map<number, number | undefined>
}

/** Microseconds from 1970 to 2000. */
const postgresEpoch = Date.UTC(2000, 0, 1) * 1000

export function flushDifference(
  topic: Topic,
  changes: readonly Change[],
  before: Tables,
): string | undefined {
  const expected = expectedOf(topic, changes, before)
  for (const change of changes) {
    const difference = take(expected, change)
    if (difference !== undefined) return difference
  }
  const [missing] = expected.transactions.keys()
  if (missing !== undefined) return `an entry of partition ${nameOf(missing)} is missing`
  if (expected.conflicts.size > 0) return 'a conflict is missing'
  const [unread] = expected.quarantine
  return unread === undefined ? undefined : `not in quarantine: ${unread}`
}

/** Takes a change off what is expected; says so where it was not. */
function take(expected: Expected, change: Change): string | undefined {
  switch (change.table) {
    case 'transactions': {
      const entry = expected.transactions.get(change.key)
      const name = nameOf(change.key)
      if (!entry) return `entry ${name} is of no record in the flush, or is there already`
      const { amount, createdAt } = change.row
      if (entry.amount !== amount) return `entry ${name}: expected ${entry.amount}, found ${amount}`
      if (entry.createdAt !== createdAt) {
        return `entry ${name}: expected to be created at ${entry.createdAt}, found ${createdAt}`
      }
      expected.transactions.delete(change.key)
      return undefined
    }
    case 'conflicts': {
      const isExpected = expected.conflicts.delete(conflictName(change.key, change.amount))
      return isExpected ? undefined : `conflict of ${nameOf(change.key)} that there is not`
    }
    case 'quarantine':
      return expected.quarantine.delete(change.at) ? undefined : `in quarantine: ${change.at}`
    case 'checkpoints': {
      const { partition, createdAt } = change.row
      if (change.cause !== 'move' || createdAt === expected.createdAt.get(partition))
        return undefined
      return `partition ${partition}: its last record was not created at ${createdAt}`
    }
    case 'none':
      return undefined
  }
}

function expectedOf(topic: Topic, changes: readonly Change[], before: Tables): Expected {
  const expected: Expected = {
    transactions: new Map(),
    conflicts: new Set(),
    quarantine: new Set(),
    createdAt: new Map(),
  }
  for (const change of changes) {
    if (change.table !== 'checkpoints' || change.cause !== 'move') continue
    const { partition, nextOffset } = change.row
    const from = before.checkpoints.get(partition)
    let createdAt = from?.createdAt
    for (const record of topic.recordsFrom(partition, from?.nextOffset ?? 0)) {
      if (record.offset >= nextOffset) break
      createdAt = expect(expected, record, before, topic.identity, createdAt)
    }
    expected.createdAt.set(partition, createdAt)
  }
  return expected
}

/** Adds what a record becomes; returns when it was created, or the record before it. */
function expect(
  expected: Expected,
  { partition, offset, timestamp, entries }: TopicRecord,
  before: Tables,
  identity: string,
  previous: number | undefined,
): number | undefined {
  if (entries === undefined) {
    expected.quarantine.add(quarantineName(identity, partition, offset))
    return previous
  }
  const accepted = timestamp * 1000 - postgresEpoch
  const createdAt = Math.max(accepted, (previous ?? -Infinity) + 1)
  for (const { key, amount } of entries) {
    const known = before.transactions.get(key) ?? expected.transactions.get(key)
    if (known === undefined) expected.transactions.set(key, { amount, createdAt })
    else if (known.amount !== amount) {
      const name = conflictName(key, amount)
      if (!before.conflicts.has(name)) expected.conflicts.add(name)
    }
  }
  return createdAt
}

/** The beginning of its id, for people. */
function nameOf(key: string): string {
  return Buffer.from(key.slice(16, 22), 'latin1').toString('hex')
}
