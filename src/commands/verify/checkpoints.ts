// Whether a partition's checkpoint fits the log and its chain.
// In:  what each of them says.
// Out: findings.
// Absent: rows (log-match.ts, chain-check.ts).

import type { Link } from '../../ledger/chain/digest.ts'
import type { PartitionHead } from '../../ledger/chain/settled.ts'
import type { LogRange } from '../../log/log.ts'
import type { Finding } from './findings.ts'
import type { LogMatch } from './log-match.ts'
import { timeText } from './texts.ts'

/** Before its rows are read. */
export function checkpointFindings(
  head: PartitionHead,
  tip: Link | undefined,
  range: LogRange | undefined,
  logIdentity: string | undefined,
): Finding[] {
  const { partition, nextOffset, createdAt } = head
  const findings: Finding[] = []
  const add = (expected: string, found: string): void => {
    findings.push({ check: 'checkpoint', where: `partition ${partition}`, expected, found })
  }
  // One that was never claimed.
  if (head.logIdentity !== '' && range && logIdentity !== undefined) {
    if (logIdentity !== head.logIdentity) {
      add(`log ${logIdentity}`, head.logIdentity)
    } else if (nextOffset > range.next) {
      add(`an offset of at most ${range.next}, where the log ends`, `${nextOffset}`)
    } else if (nextOffset < range.first) {
      add(`an offset of at least ${range.first}, where the log begins`, `${nextOffset}`)
    }
  }
  if (tip && tip.toOffset > nextOffset) {
    add(`an offset of at least ${tip.toOffset}, as link ${tip.link} says`, `${nextOffset}`)
  }
  if (tip && tip.toCreatedAt > createdAt) {
    const expected = `last_created_at of at least ${timeText(tip.toCreatedAt)}`
    add(`${expected}, as link ${tip.link} says`, timeText(createdAt))
  }
  return findings
}

/** Once all records before it have been compared. */
export function endFindings(head: PartitionHead, match: LogMatch | undefined): Finding[] {
  const { partition, nextOffset, createdAt } = head
  if (match?.previous === undefined || !match.isDone || match.end !== nextOffset) return []
  if (match.previous === createdAt) return []
  const expected = `last_created_at ${timeText(match.previous)}, as the records before it say`
  const where = `partition ${partition}, offset ${nextOffset}`
  return [{ check: 'checkpoint', where, expected, found: timeText(createdAt) }]
}
