// Whether a partition's quarantine holds what it should.
// In:  what the log has that is no batch.
// Out: findings.
// Absent: more than some records in memory.

import { postgresEpochMs } from '../../ledger/moment.ts'
import { sinceEpoch } from '../../ledger/checkpoint.ts'
import type { Connection } from '../../postgres/connection.ts'
import type { Part } from './bucket.ts'
import type { Finding } from './findings.ts'
import { decodeRecord } from './record-entries.ts'
import { sha256 } from './texts.ts'

const recordsAtOnce = 16

interface Row {
  partition: number
  log_offset: string
  log_identity: string
  reason: string
  bytes: Buffer
  at: string
}

/** Of all partitions of a bucket. */
export async function quarantineFindings(
  connection: Connection,
  parts: readonly Part[],
): Promise<Finding[]> {
  const findings: Finding[] = []
  const partOf = new Map(parts.map((part) => [part.head.partition, part]))
  const missing = new Map(parts.map((part) => [part, new Map(part.quarantined)]))
  const page = `
    SELECT partition, log_offset, log_identity, reason, bytes, ${sinceEpoch('created_at')} AS at
    FROM ledger.quarantine
    WHERE partition = ANY ($1::int[]) AND (partition, log_offset, log_identity) > ($2, $3, $4)
    ORDER BY partition, log_offset, log_identity LIMIT ${recordsAtOnce}`
  let after: [number, string, string] = [-1, '-1', '']
  for (;;) {
    const rows = await connection.query<Row>(page, [[...partOf.keys()], ...after])
    for (const row of rows) {
      const part = partOf.get(row.partition)
      if (part === undefined) continue
      missing.get(part)?.delete(Number(row.log_offset))
      const [expected, found] = judge(part, row) ?? []
      if (expected === undefined || found === undefined) continue
      const where = `partition ${row.partition}, offset ${row.log_offset}`
      findings.push({ check: 'quarantine', where, expected, found })
    }
    const last = rows.at(-1)
    if (last === undefined || rows.length < recordsAtOnce) break
    after = [last.partition, last.log_offset, last.log_identity]
  }
  for (const [part, hashes] of missing) {
    for (const [offset, hash] of hashes) {
      const where = `partition ${part.head.partition}, offset ${offset}`
      const expected = `the log's record with SHA-256 ${hash}`
      findings.push({ check: 'quarantine', where, expected, found: 'none' })
    }
  }
  return findings
}

/** What was expected and what was found; undefined when all is well. */
function judge(
  { head, chain, match, quarantined }: Part,
  { log_offset, log_identity, reason, bytes, at }: Row,
): [string, string] | undefined {
  const offset = Number(log_offset)
  if (log_identity !== head.logIdentity) return [`log ${head.logIdentity}`, log_identity]
  // What came since is not looked at.
  if (offset >= head.nextOffset) return undefined
  const isCompared = match !== undefined && offset >= match.from && offset < match.end
  if (isCompared) {
    const hash = quarantined.get(offset)
    if (hash === undefined) return ['no record: the log has a batch there', 'one in quarantine']
    if (hash !== sha256(bytes)) return [`bytes with SHA-256 ${hash}`, sha256(bytes)]
  }
  if (/: expected (a time|at most)/.test(reason)) return undefined
  const timestamp = Number(at) / 1000 + postgresEpochMs
  const own = decodeRecord(head.partition, { timestamp, bytes })
  if (typeof own !== 'string') return ['bytes that are no batch', `a batch of ${own.count}`]
  // Other versions may say it otherwise; the chain knows what was said.
  const isLinked = offset < chain.offset
  return isLinked || own === reason ? undefined : [`reason "${own}"`, `"${reason}"`]
}
