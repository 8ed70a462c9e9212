// Records that no ingress writes.
// In:  chances, and a partition to be put into.
// Out: bytes, what is wrong with them, and whether they must end in quarantine.
// Absent: putting them into a log.

import { encodeBatch, type Entry } from '../record/encode.ts'
import { entryBytes, partitionCount } from '../record/layout.ts'
import { partitionOf } from '../record/partition.ts'
import type { Random } from './random.ts'

export const badRecordKinds = [
  'garbage',
  'truncated',
  'half-bad',
  'wrong-partition',
  'empty',
] as const

export type BadRecordKind = (typeof badRecordKinds)[number]

export interface BadRecord {
  kind: BadRecordKind
  partition: number
  bytes: Uint8Array
  /** An empty record is a batch of no transactions: good, and nothing comes of it. */
  isQuarantined: boolean
}

const garbageBytesMax = 4_000
const entriesMax = 20

export function makeBadRecord(kind: BadRecordKind, partition: number, random: Random): BadRecord {
  const bytes = makeBytes(kind, partition, random)
  return { kind, partition, bytes, isQuarantined: kind !== 'empty' }
}

function makeBytes(kind: BadRecordKind, partition: number, random: Random): Uint8Array {
  switch (kind) {
    case 'empty':
      return new Uint8Array(0)
    case 'garbage': {
      const bytes = new Uint8Array(random.between(1, garbageBytesMax))
      random.fill(bytes)
      // Field 0, which no message has: what is random could be good by chance otherwise.
      bytes[0] = 0
      return bytes
    }
    case 'truncated': {
      const whole = goodEntries(partition, random)
      return whole.subarray(0, whole.length - random.between(1, entryBytes - 1))
    }
    case 'half-bad': {
      const bytes = Buffer.concat([goodEntries(partition, random), goodEntries(partition, random)])
      // An id of no length in the last entry; those before are good, and must not be taken.
      bytes[bytes.length - entryBytes + 3] = 0
      return bytes
    }
    case 'wrong-partition': {
      const other = (partition + random.between(1, partitionCount - 1)) % partitionCount
      return goodEntries(other, random)
    }
  }
}

/** Entries that no client ever sent. */
function goodEntries(partition: number, random: Random): Uint8Array {
  const count = random.between(1, entriesMax)
  return encodeBatch(Array.from({ length: count }, () => makeEntry(partition, random)))
}

function makeEntry(partition: number, random: Random): Entry {
  const id = new Uint8Array(16)
  random.fill(id)
  const accountId = new Uint8Array(16)
  do random.fill(accountId)
  while (partitionOf(new DataView(accountId.buffer), 0) !== partition)
  return { id, accountId, amount: random.int64() }
}
