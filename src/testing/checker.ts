// The independent checker: compares what the clients were told with what is in the tables.
// In:  the history of the clients, the databases, and where the log ends.
// Out: every breach of the contract, with the whole story of what it concerns.
// Absent: the program's code.

import { setTimeout as delay } from 'node:timers/promises'
import { KeyRules } from './checker-keys.ts'
import {
  countEntries,
  OpenTables,
  type CheckpointRow,
  type ContradictionRow,
  type QuarantineRow,
} from './checker-tables.ts'
import type { History } from './history.ts'

/** Breaches that more time may cure, because the workers may not have come to them yet. */
const curable = ['lost', 'conflict missing', 'quarantine missing', 'checkpoint behind'] as const

export type ViolationKind =
  | (typeof curable)[number]
  /** The same key in two rows. */
  | 'double'
  /** A row with a key no client ever sent. */
  | 'invented'
  /** A row with a key that was sent, but never with this amount. */
  | 'wrong amount'
  /** The row is not the content that must have come first. */
  | 'wrong winner'
  /** A row from a time when no request with it was under way. */
  | 'wrong time'
  | 'conflict double'
  | 'conflict invented'
  /** A conflict with the amount that is in the row, or without any row. */
  | 'conflict superfluous'
  /** A conflict that names another amount than its row has. */
  | 'conflict contradicts'
  | 'quarantined'
  /** A checkpoint past the end of the log. */
  | 'checkpoint beyond'

export interface Violation {
  kind: ViolationKind
  /** What was expected, what was found, and all that is known of it. */
  story: string
}

export interface CheckOptions {
  databases: readonly string[]
  history: History
  /**
   * Next offset of each partition of the log, where known; the checkpoints are compared with it.
   */
  logEnds?: ReadonlyMap<number, number>
  /** What quarantine must hold: what is wrong with a record, by `partition/offset`. */
  badRecords?: ReadonlyMap<string, string>
  /** The workers may not be through: leave out the breaches that more time may cure. */
  underway?: boolean
  /** Do not compare the rows' times with the attempts'. */
  ignoreTimes?: boolean
  /** Most stories to tell; all breaches are counted. */
  storiesMax?: number
}

export interface CheckReport {
  rows: number
  conflicts: number
  counts: Partial<Record<ViolationKind, number>>
  /** The first of them. */
  violations: readonly Violation[]
}

/** Collects breaches, counts all of them and keeps the first few. */
export class Findings {
  readonly counts: Partial<Record<ViolationKind, number>> = {}
  readonly violations: Violation[] = []
  readonly #storiesMax: number
  readonly #underway: boolean

  constructor(storiesMax: number, underway: boolean) {
    this.#storiesMax = storiesMax
    this.#underway = underway
  }

  add(kind: ViolationKind, story: () => string): void {
    if (this.#underway && isCurable(kind)) return
    this.counts[kind] = (this.counts[kind] ?? 0) + 1
    if (this.violations.length < this.#storiesMax) this.violations.push({ kind, story: story() })
  }
}

/** Compares the history with the tables as they are now. */
export async function check(options: CheckOptions): Promise<CheckReport> {
  const findings = new Findings(options.storiesMax ?? 20, options.underway === true)
  const checkpoints: CheckpointRow[] = []
  const quarantined: QuarantineRow[] = []
  const tables = await Promise.all(options.databases.map((url) => OpenTables.open(url)))
  try {
    // Only now: what is sent later is not in the tables as they were opened.
    const keys = new KeyRules(options.history, findings, options.ignoreTimes === true)
    for (const each of tables) {
      const snapshot = await each.read(keys)
      checkpoints.push(...snapshot.checkpoints)
      quarantined.push(...snapshot.quarantine)
      reportContradictions(snapshot.contradictions, findings)
    }
    reportQuarantine(quarantined, options.badRecords ?? new Map(), findings)
    return conclude(options, findings, keys, checkpoints)
  } finally {
    await Promise.all(tables.map((each) => each.close()))
  }
}

function conclude(
  options: CheckOptions,
  findings: Findings,
  keys: KeyRules,
  checkpoints: readonly CheckpointRow[],
): CheckReport {
  keys.conclude()
  if (options.logEnds !== undefined) compareEnds(options.logEnds, checkpoints, findings)
  const { counts, violations } = findings
  return { rows: keys.rows, conflicts: keys.conflicts, counts, violations }
}

/**
 * Checks until nothing is missing any more. Gives up as soon as something is wrong that time cannot
 * cure, or when the tables have not moved for `patienceMs`.
 */
export async function checkEventually(
  options: Omit<CheckOptions, 'logEnds'> & {
    logEnds?: () => Promise<ReadonlyMap<number, number>>
    patienceMs?: number
  },
): Promise<CheckReport> {
  const { logEnds, patienceMs = 20_000, ...rest } = options
  let movedAt = Date.now()
  let seen = ''
  for (;;) {
    const before = JSON.stringify(await countEntries(rest.databases))
    if (before !== seen) movedAt = Date.now()
    seen = before
    const report = await check({ ...rest, ...(logEnds && { logEnds: await logEnds() }) })
    const kinds = Object.keys(report.counts) as ViolationKind[]
    if (kinds.length === 0 || !kinds.every(isCurable)) return report
    if (Date.now() - movedAt > patienceMs) return report
    await delay(100)
  }
}

/** Throws with every story when the report is not clean. */
export function assertClean(report: CheckReport): void {
  if (report.violations.length === 0) return
  const counts = Object.entries(report.counts)
    .map(([kind, count]) => `${count} ${kind}`)
    .join(', ')
  const stories = report.violations.map(({ kind, story }) => `  ${kind}: ${story}`).join('\n')
  throw new Error(
    `The tables do not hold what the clients were promised: ${counts} ` +
      `(${report.rows} rows, ${report.conflicts} conflicts).\n${stories}`,
  )
}

function isCurable(kind: ViolationKind): boolean {
  return (curable as readonly ViolationKind[]).includes(kind)
}

/** Quarantine holds each bad record once, and nothing that nobody put into the log for it. */
function reportQuarantine(
  rows: readonly QuarantineRow[],
  expected: ReadonlyMap<string, string>,
  findings: Findings,
): void {
  const seen = new Set<string>()
  for (const { partition, offset, reason } of rows) {
    const place = `${partition}/${offset}`
    if (expected.has(place) && !seen.has(place)) {
      seen.add(place)
      continue
    }
    const more = expected.has(place) ? 'nothing more' : 'nothing'
    findings.add(
      'quarantined',
      () =>
        `expected ${more} in quarantine, found partition ${partition} offset ${offset}: ${reason}`,
    )
  }
  for (const [place, what] of expected) {
    if (seen.has(place)) continue
    findings.add('quarantine missing', () => `expected partition/offset ${place}, ${what}`)
  }
}

function reportContradictions(rows: readonly ContradictionRow[], findings: Findings): void {
  for (const { accountId, id, recordedAmount, amount } of rows) {
    findings.add(
      'conflict contradicts',
      () => `account ${accountId} id ${id}: the row has ${amount}, its conflict ${recordedAmount}`,
    )
  }
}

function compareEnds(
  ends: ReadonlyMap<number, number>,
  rows: readonly CheckpointRow[],
  findings: Findings,
): void {
  for (const [partition, end] of ends) {
    const mine = rows.filter((row) => row.partition === partition)
    const reached = Math.max(0, ...mine.map((row) => row.nextOffset))
    if (reached === end) continue
    const owners = mine.map((row) => `${row.owner} epoch ${row.epoch}`).join(', ') || 'nobody'
    findings.add(
      reached > end ? 'checkpoint beyond' : 'checkpoint behind',
      () =>
        `partition ${partition}: expected offset ${end}, the log's end, ` +
        `found ${reached} (${owners})`,
    )
  }
}
