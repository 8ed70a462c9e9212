// Checks one bucket: its rows and conflicts, window by window, against chains and log.
// In:  a connection, the log, where to begin.
// Out: findings; how far it is.
// Absent: which buckets there are, and what is checked besides (verifier.ts).

/*
 * What lies below a checkpoint never changes. So checkpoints are read once, at the beginning, and
 * what lies below them afterwards in transactions of seconds, each with a snapshot of its own: the
 * program may go on, and PostgreSQL clean up, however long all of it takes.
 */

import { LedgerError, messageOf } from '../../errors.ts'
import { marksFrom, readTips } from '../../ledger/chain/links.ts'
import { beforeOldest, readWindow } from '../../ledger/chain/read.ts'
import { headOf, headsSql, type PartitionHead } from '../../ledger/chain/settled.ts'
import {
  conflictShape,
  recordedAmountAt,
  rowShape,
  Tuples,
  type Group,
  type TupleGroups,
} from '../../ledger/chain/tuples.ts'
import { Windows } from '../../ledger/chain/windows.ts'
import type { Moment } from '../../ledger/moment.ts'
import { chainRowsMax } from '../../limits.ts'
import type { LogView } from '../../log/embedded-view.ts'
import type { Offset } from '../../log/log.ts'
import type { Connection } from '../../postgres/connection.ts'
import { ChainCheck, fillChains, type ChainPosition } from './chain-check.ts'
import { checkpointFindings, endFindings } from './checkpoints.ts'
import type { Finding } from './findings.ts'
import { LogFeed } from './log-feed.ts'
import { LogMatch, type MatchOutput } from './log-match.ts'
import { lookUp } from './lookups.ts'
import { quarantineFindings } from './quarantined.ts'
import { amountOf, keyOf, keyText, timeText } from './texts.ts'

/** Of each partition, how far its chain was followed. */
export type BucketPosition = Record<string, ChainPosition>

/** How far a bucket is, as it is remembered. */
export interface BucketProgress {
  position: BucketPosition
  /** All else is checked up to here; links may end before, and are hashed again from there. */
  checkedTo: Moment | null
  counts: BucketCounts
}

export interface BucketCounts {
  rows: number
  conflicts: number
  /** Rows below the checkpoint that neither a link nor the log vouches for yet. */
  unproven: number
  logEntries: number
}

export interface BucketOptions {
  connection: Connection
  bucket: number
  heads: readonly PartitionHead[]
  leaves: readonly string[]
  log: LogView | undefined
  earlier: BucketProgress | undefined
  signal: AbortSignal
  tell: (findings: readonly Finding[]) => void
  /** Told after each window, which share of the bucket's time is done. */
  onWindow: (progress: BucketProgress, share: number) => void
}

export interface Part {
  head: PartitionHead
  chain: ChainCheck
  match: LogMatch | undefined
  /** Rows up to here are left out for the log, as they come from records that are not compared. */
  matchFloor: Moment
  /** Rows up to here were looked at by an earlier run: only their links are hashed again. */
  checkedTo: Moment
  quarantined: MatchOutput['quarantined']
}

type WindowOutput = Pick<MatchOutput, 'findings' | 'lookups'>

const tuples = {
  rows: new Tuples(rowShape, chainRowsMax),
  conflicts: new Tuples(conflictShape, chainRowsMax),
}

/** Throws STOPPING when the signal is aborted. */
export async function checkBucket(options: BucketOptions): Promise<BucketCounts> {
  const { connection, heads, leaves, tell, signal } = options
  const none = { rows: 0, conflicts: 0, unproven: 0, logEntries: 0 }
  const counts = { ...(options.earlier?.counts ?? none) }
  const { parts, feed } = await openParts(options)
  try {
    const last = Math.max(-Infinity, ...heads.map(({ createdAt }) => createdAt))
    const begin = Math.min(Infinity, ...parts.map(beginOf))
    const oldest = begin === -Infinity ? await beforeOldest(connection, leaves) : begin
    const start = Math.min(oldest ?? last, last)
    const windows = new Windows(chainRowsMax)
    const isDue = (floor: Moment): boolean =>
      floor < last || parts.some(({ chain }) => chain.isDueAt(last))
    for (let floor = start; isDue(floor);) {
      if (signal.aborted) throw new LedgerError('STOPPING', 'Interrupted.')
      floor = await checkWindow(options, parts, { floor, last }, windows, counts)
      const share = (floor - start) / Math.max(1, last - start)
      const checkedTo = Number.isFinite(floor) ? floor : null
      options.onWindow({ position: positionOf(parts), checkedTo, counts: { ...counts } }, share)
    }
    for (const part of parts) {
      await drain(options, part, counts)
      tell(endFindings(part.head, part.match))
    }
    tell(await quarantineFindings(connection, parts))
    return counts
  } finally {
    await feed?.close()
  }
}

function positionOf(parts: readonly Part[]): BucketPosition {
  return Object.fromEntries(parts.map(({ head, chain }) => [head.partition, chain.position]))
}

async function openParts(
  options: BucketOptions,
): Promise<{ parts: Part[]; feed: LogFeed | undefined }> {
  const { connection, heads, log, earlier } = options
  const position = earlier?.position ?? {}
  const checkedTo = earlier?.checkedTo ?? -Infinity
  const partitions = heads.map(({ partition }) => partition)
  if (earlier === undefined) await checkCheckpoints(options, partitions)
  const ranges = await log?.ranges(partitions)
  const spans = new Map<number, { from: Offset; end: Offset }>()
  const starts = new Map<number, Moment | undefined>()
  const compared = heads.filter(({ logIdentity }) => ranges && logIdentity === log?.identity)
  const least = new Map(
    compared.map(({ partition }) => {
      return [
        partition,
        Math.max(ranges?.get(partition)?.first ?? 0, position[partition]?.offset ?? 0),
      ]
    }),
  )
  const marks = await marksFrom(connection, least)
  for (const { partition, nextOffset } of heads) {
    const range = ranges?.get(partition)
    const from = least.get(partition)
    if (range === undefined || from === undefined) continue
    const end = Math.max(range.first, Math.min(nextOffset, range.next))
    const mark = marks.get(partition)
    if (from === 0) {
      starts.set(partition, -Infinity)
      spans.set(partition, { from, end })
    } else if (mark && mark.offset <= end) {
      starts.set(partition, mark.createdAt)
      spans.set(partition, { from: mark.offset, end })
    } else {
      spans.set(partition, { from: range.first, end })
    }
  }
  const feed = log && spans.size > 0 ? await LogFeed.open(log, spans) : undefined
  const parts = heads.map((head): Part => {
    const { partition } = head
    const span = spans.get(partition)
    const previous = starts.get(partition)
    const match =
      feed && span ? new LogMatch(feed, { partition, ...span, previous, checkedTo }) : undefined
    const chain = new ChainCheck(head, position[partition])
    return {
      head,
      chain,
      match,
      checkedTo,
      matchFloor: previous ?? -Infinity,
      quarantined: new Map(),
    }
  })
  return { parts, feed }
}

/**
 * As they are now, beside links of the same instant. The log goes on meanwhile: checkpoints are not
 * before where it began before, and not past where it ends afterwards.
 */
async function checkCheckpoints(
  { connection, bucket, heads, log, tell }: BucketOptions,
  partitions: readonly number[],
): Promise<void> {
  const before = await log?.ranges(partitions)
  await connection.execute('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY')
  const results = await connection.script(headsSql(bucket))
  const tips = await readTips(connection, partitions)
  await connection.execute('COMMIT')
  const after = await log?.ranges(partitions)
  const now = new Map((results[0]?.rows ?? []).map(headOf).map((head) => [head.partition, head]))
  for (const head of heads) {
    const { partition } = head
    const [first, next] = [before?.get(partition)?.first, after?.get(partition)?.next]
    const range = first === undefined || next === undefined ? undefined : { first, next }
    const current = now.get(partition) ?? head
    tell(checkpointFindings(current, tips.get(partition), range, log?.identity))
  }
}

/** From when on a part wants rows. */
function beginOf({ head, chain, match, matchFloor, checkedTo }: Part): Moment {
  if (head.createdAt === -Infinity) return Infinity
  return Math.min(chain.end, match?.isExact ? Math.max(matchFloor, checkedTo) : checkedTo)
}

/** Returns where it ends. */
async function checkWindow(
  options: BucketOptions,
  parts: readonly Part[],
  from: { floor: Moment; last: Moment },
  windows: Windows,
  counts: BucketCounts,
): Promise<Moment> {
  const { connection, bucket, leaves, tell } = options
  let { last } = from
  const chains = parts.map(({ chain }) => chain)
  await fillChains(connection, chains)
  last = Math.min(last, ...chains.map(({ knownTo }) => knownTo))
  last = Math.max(last, from.floor)
  await connection.execute('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY')
  const results = await connection.script(headsSql(bucket))
  const now = new Map((results[0]?.rows ?? []).map(headOf).map((one) => [one.partition, one]))
  let ceiling = last
  if (from.floor < last) {
    ceiling = await readWindow(connection, leaves, { floor: from.floor, last }, windows, tuples)
  } else {
    for (const each of Object.values(tuples)) each.clear()
  }
  const output: WindowOutput = { findings: [], lookups: [] }
  for (const part of parts) {
    await checkPart(part, ceiling, now.get(part.head.partition), output, counts)
  }
  tell(output.findings)
  for await (const finding of lookUp(connection, bucket, output.lookups)) tell([finding])
  await connection.execute('COMMIT')
  return ceiling
}

async function checkPart(
  part: Part,
  ceiling: Moment,
  now: PartitionHead | undefined,
  output: WindowOutput,
  counts: BucketCounts,
): Promise<void> {
  const { head, chain, checkedTo } = part
  const { partition } = head
  const until = Math.min(ceiling, head.createdAt)
  const own = (all: Tuples, from = -Infinity, to = until): TupleGroups => ({
    tuples: all,
    groups: all.groupsOf(partition, from, to),
  })
  for (const group of own(tuples.rows, checkedTo, ceiling).groups) {
    counts.rows += group.to - group.from
    aheadFindings(group, head, now, output)
    doubledFindings(group, output)
  }
  for (const group of own(tuples.conflicts, checkedTo, ceiling).groups) {
    counts.conflicts += group.to - group.from
    lookUpConflicts(group, output)
  }
  const rows = own(tuples.rows)
  chain.window(rows, own(tuples.conflicts), ceiling, output.findings)
  const { match, matchFloor, quarantined } = part
  const logRows = own(tuples.rows, Math.max(checkedTo, matchFloor))
  const logConflicts = own(tuples.conflicts, Math.max(checkedTo, matchFloor))
  await asLongAsThere(part, output, async () => {
    const compared = await match?.window(logRows, logConflicts, ceiling, { ...output, quarantined })
    counts.logEntries += compared ?? 0
  })
  if (part.match?.isExact || !chain.isComplete) return
  for (const { from, to } of own(tuples.rows, Math.max(checkedTo, chain.end)).groups) {
    counts.unproven += to - from
  }
}

/** Compares what the log has past all rows, or without knowing when they were created. */
async function drain(options: BucketOptions, part: Part, counts: BucketCounts): Promise<void> {
  const { connection, bucket, tell, signal } = options
  const nothing = (shape: Tuples): TupleGroups => ({ tuples: shape, groups: [] })
  const [rows, conflicts] = [nothing(tuples.rows), nothing(tuples.conflicts)]
  while (part.match?.isDone === false) {
    if (signal.aborted) throw new LedgerError('STOPPING', 'Interrupted.')
    const output: WindowOutput = { findings: [], lookups: [] }
    const { match, quarantined } = part
    await asLongAsThere(part, output, async () => {
      counts.logEntries += await match.window(rows, conflicts, Infinity, {
        ...output,
        quarantined,
      })
    })
    tell(output.findings)
    await connection.execute('BEGIN READ ONLY')
    for await (const finding of lookUp(connection, bucket, output.lookups)) tell([finding])
    await connection.execute('COMMIT')
  }
}

/** Records may be released while they are read, as the log does; none may be missing. */
async function asLongAsThere(
  part: Part,
  { findings }: WindowOutput,
  match: () => Promise<void>,
): Promise<void> {
  try {
    await match()
  } catch (error) {
    const code = error instanceof LedgerError ? error.code : undefined
    if (code !== 'OFFSET_GONE' && code !== 'OFFSET_BEYOND_END') throw error
    const { from, end } = part.match ?? { from: 0, end: 0 }
    part.match = undefined
    if (code === 'OFFSET_GONE') return
    const where = `partition ${part.head.partition}`
    const expected = `records from offset ${from} to before ${end}`
    findings.push({ check: 'log', where, expected, found: messageOf(error) })
  }
}

/** Each must stand beside a row of the amount it names. */
function lookUpConflicts(group: Group, { lookups }: WindowOutput): void {
  for (let at = group.from; at < group.to; at++) {
    const tuple = tuples.conflicts.tuple(at)
    const amounts = { amount: amountOf(tuple), recordedAmount: amountOf(tuple, recordedAmountAt) }
    lookups.push({ kind: 'conflict', ...keyOf(tuple), ...amounts })
  }
}

/** A row that is younger than its checkpoint was not committed with it. */
function aheadFindings(
  { createdAt }: Group,
  head: PartitionHead,
  now: PartitionHead | undefined,
  { findings }: WindowOutput,
): void {
  if (createdAt <= head.createdAt || createdAt <= (now ?? head).createdAt) return
  const where = `partition ${head.partition}`
  const expected = `no row created after ${timeText(head.createdAt)}, where its checkpoint is`
  const found = `rows created at ${timeText(createdAt)}`
  findings.push({ check: 'row ahead', where, expected, found })
}

function doubledFindings({ from, to }: Group, { findings }: WindowOutput): void {
  let before = tuples.rows.tuple(from)
  for (let at = from + 1; at < to; at++) {
    const tuple = tuples.rows.tuple(at)
    if (Buffer.compare(tuple.subarray(0, 32), before.subarray(0, 32)) === 0) {
      const where = keyText(keyOf(tuple))
      findings.push({ check: 'row doubled', where, expected: 'one row', found: 'two' })
    }
    before = tuple
  }
}
