// What a link says of the books, as bytes and hashes.
// In:  tuples, quarantined records, the fields of a link.
// Out: SHA-256.
// Absent: reading and writing links (links.ts).

/*
 * Row         => account_id[16] id[16] INT64 amount, INT64 created_at
 * Conflict    => account_id[16] id[16] INT64 amount, INT64 recorded_amount, INT64 created_at
 * Quarantined => INT64 log_offset, INT64 created_at,
 *                SHA-256 of log_identity, SHA-256 of reason, SHA-256 of bytes
 * Content     => SHA-256( SHA-256(Row*) SHA-256(Conflict*) SHA-256(Quarantined*) )
 * Link        => SHA-256( hash of the link before[32], INT32 partition, INT64 link,
 *                INT64 to_offset, INT64 to_created_at, INT64 rows, INT64 conflicts,
 *                INT64 quarantined, content[32], sum as text )
 *
 * Integers are big endian and times count microseconds since 2000, as PostgreSQL's own functions
 * (int8send, timestamptz_send, uuid_send, sha256) have them: psql can compute all of it again.
 */

import { createHash, type Hash } from 'node:crypto'
import type { Offset } from '../../log/log.ts'
import type { Moment } from '../moment.ts'
import type { Group, Tuples } from './tuples.ts'

export interface Link {
  partition: number
  link: bigint
  toCreatedAt: Moment
  toOffset: Offset
  rows: number
  sum: bigint
  conflicts: number
  quarantined: number
  content: Buffer
  hash: Buffer
}

/** What stands before the first link of a partition. */
export const noHash: Buffer = Buffer.alloc(32)

const emptyDigest = createHash('sha256').digest()

/** Hashes content as it comes; each of the three in its order. */
export class Content {
  rows = 0
  sum = 0n
  conflicts = 0
  quarantined = 0
  #rows: Hash | undefined
  #conflicts: Hash | undefined
  #quarantined: Hash | undefined

  addRows(tuples: Tuples, group: Group): void {
    this.#rows ??= createHash('sha256')
    for (const bytes of tuples.bytesOf(group)) this.#rows.update(bytes)
    this.rows += group.to - group.from
    this.sum += tuples.sumOf(group)
  }

  addConflicts(tuples: Tuples, group: Group): void {
    this.#conflicts ??= createHash('sha256')
    for (const bytes of tuples.bytesOf(group)) this.#conflicts.update(bytes)
    this.conflicts += group.to - group.from
  }

  /** @param item as in the grammar above */
  addQuarantined(item: Uint8Array): void {
    this.#quarantined ??= createHash('sha256')
    this.#quarantined.update(item)
    this.quarantined++
  }

  digest(): Buffer {
    const content = createHash('sha256')
    for (const part of [this.#rows, this.#conflicts, this.#quarantined]) {
      content.update(part?.digest() ?? emptyDigest)
    }
    return content.digest()
  }
}

export function linkHash(before: Uint8Array, link: Omit<Link, 'hash'>): Buffer {
  const fields = Buffer.alloc(4 + 6 * 8)
  fields.writeInt32BE(link.partition, 0)
  const numbers = [link.link, link.toOffset, instant(link.toCreatedAt)]
  const counts = [link.rows, link.conflicts, link.quarantined]
  for (const [index, number] of [...numbers, ...counts].entries()) {
    fields.writeBigInt64BE(BigInt(number), 4 + index * 8)
  }
  const hash = createHash('sha256').update(before).update(fields).update(link.content)
  return hash.update(String(link.sum)).digest()
}

/** PostgreSQL has -infinity as the least of all. */
function instant(moment: Moment): bigint {
  return moment === -Infinity ? -(2n ** 63n) : BigInt(moment)
}
