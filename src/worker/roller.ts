// Decides which leaves of a database are rolled up, how far, and when.
// In:  a connection, now and then.
// Out: balances that stay quick (ledger/rollups.ts has the proof that they stay exact).
// Absent: any hurry: an entry that is not rolled up is read from its leaf.

import { setTimeout as delay } from 'node:timers/promises'
import { lowestIdAt } from '../ledger/leaves.ts'
import {
  dividedLeaves,
  idQuantiles,
  leavesOf,
  mostEntriesOf,
  newestIdTimes,
  noteSize,
  remainderOf,
  type Leaf,
  type Remainder,
} from '../ledger/rollup-leaves.ts'
import { foldDeltas, mergeRanges, rangesOf, rollUp } from '../ledger/rollups.ts'
import type { Logger } from '../observe/logger.ts'
import type { Connection } from '../postgres/connection.ts'

/** A part of a leaf is worth a roll-up from this size on: some 50,000 entries. */
const stepPages = 512
/** A roll-up takes about as much room as an entry with its key. */
const entriesPerAccountMin = 4
/** An account with so many entries that are not rolled up takes milliseconds to add up. */
const entriesOfAccountMax = 1000
/** What has fewer entries than this is rolled up for nothing, when it is complete. */
const smallEntries = 10_000
/** A part that is not worth it is looked at again when it has grown by half. */
const growthPerLook = 1.5

/** Ids are this much older than those that come now, before they are rolled up. */
const marginMs = 10_000
/** Of the entries that come now, so many may be late. */
const lateShare = 0.05
const samplePagesMax = 32
/** Where nothing is written, ids are as old as this before they are rolled up. */
const quietMs = 300_000

/** Of the range that a point in time falls into, the entries are read: 0.1 s for so many. */
const rangeEntries = 131_072
/** Ranges of a leaf past which the oldest are merged by twos. */
const rangesMax = 32
const mergedAtOnce = 16
/** From then on a leaf has one range, where no account has more entries in it than a range may. */
const recentMs = 2 * 86_400_000

export interface RollerOptions {
  logger: Pick<Logger, 'debug'>
  /** Whether entries wait to be persisted: then the machine has better things to do. */
  isBehind: () => boolean
  /** How much longer than a roll-up took the next one waits, so that flushes have the machine. */
  restPerWork: number
  signal: AbortSignal
}

/** Up to before which id; `undefined` for all of a leaf. */
interface Due {
  high: string | undefined
}

const whole: Due = { high: undefined }

export class Roller {
  readonly #options: RollerOptions
  /** Pages each leaf had the last time. */
  readonly #pages = new Map<string, number>()
  /** Pages of a leaf when rolling it up was not worth it. */
  readonly #declined = new Map<string, number>()
  /** Ranges of an old leaf that are too large to be merged. */
  readonly #apart = new Map<string, number>()

  constructor(options: RollerOptions) {
    this.#options = options
  }

  /**
   * Rolls up what is due; returns how many leaves. Several processes may do so at once: one at a
   * time is at work.
   */
  async turn(connection: Connection, now = Date.now()): Promise<number> {
    const { isBehind, signal } = this.#options
    if (isBehind()) return 0
    let done = 0
    for (const leaves of byBucket(await leavesOf(connection))) {
      const written = (await this.#writtenFrom(connection, leaves)) ?? now - quietMs
      for (const leaf of leaves) {
        if (signal.aborted || isBehind()) return done
        const due = this.#dueUntil(leaf, Math.min(written, now) - marginMs)
        if (due !== undefined && (await this.#rollUp(connection, leaf, due.high))) done++
      }
    }
    await foldDeltas(connection)
    await this.#merge(connection, now)
    return done
  }

  /**
   * Which time the ids of a bucket have that are being written now, but for a few late ones;
   * nothing where none are.
   */
  async #writtenFrom(connection: Connection, leaves: readonly Leaf[]): Promise<number | undefined> {
    const times: number[] = []
    for (const { leaf, kind, pages } of leaves) {
      const before = this.#pages.get(leaf)
      this.#pages.set(leaf, pages)
      if (kind === 'default' || before === undefined || pages <= before) continue
      const from = Math.max(before, pages - samplePagesMax)
      times.push(...(await newestIdTimes(connection, leaf, from)))
    }
    times.sort((a, b) => a - b)
    return times[Math.floor(times.length * lateShare)]
  }

  /** Before which id a leaf is to be rolled up, or all of it; nothing where it is too early. */
  #dueUntil(leaf: Leaf, settledMs: number): Due | undefined {
    const { kind, hasKey, isRolledUp, endMs, pages, coveredPages, below = '' } = leaf
    if (!hasKey) return undefined
    if (endMs <= settledMs) {
      return pages === 0 || isRolledUp || pages > coveredPages ? whole : undefined
    }
    // What was not worth it does not become so without more entries.
    if (pages < (this.#declined.get(leaf.leaf) ?? 0) * growthPerLook) return undefined
    if (kind === 'default') return pages >= stepPages ? whole : undefined
    const high = lowestIdAt(settledMs)
    return pages - coveredPages >= stepPages && high > below ? { high } : undefined
  }

  async #rollUp(connection: Connection, leaf: Leaf, high: string | undefined): Promise<boolean> {
    const { logger, restPerWork, signal } = this.#options
    const started = performance.now()
    const remainder = await remainderOf(connection, leaf, high)
    // What has been begun is completed: it is one leaf less to look into.
    const isLast = high === undefined && leaf.isRolledUp
    const pays = isLast || isWorthIt(remainder, high === undefined)
    const done = pays && (await this.#rollUpInSteps(connection, leaf, high, remainder))
    if (pays) this.#declined.delete(leaf.leaf)
    else {
      this.#declined.set(leaf.leaf, leaf.pages)
      if (high === undefined) await noteSize(connection, leaf)
    }
    const milliseconds = performance.now() - started
    logger.debug({ leaf: leaf.leaf, high, ...remainder, milliseconds, pays, done }, 'roll-up')
    await delay(milliseconds * restPerWork, undefined, { signal }).catch(() => undefined)
    return done
  }

  /** By more ranges than one where an account has many entries. */
  async #rollUpInSteps(
    connection: Connection,
    leaf: Leaf,
    high: string | undefined,
    { most }: Remainder,
  ): Promise<boolean> {
    const steps = Math.min(rangesMax / 2, Math.ceil(most / rangeEntries))
    let { below } = leaf
    for (const bound of await idQuantiles(connection, leaf, high, steps)) {
      if (!(await rollUp(connection, { ...leaf, below }, bound))) return false
      below = bound
    }
    return rollUp(connection, { ...leaf, below }, high)
  }

  async #merge(connection: Connection, now: number): Promise<void> {
    for (const { leaf, day, ranges } of await dividedLeaves(connection)) {
      const isRecent = day + recentMs > now
      if (ranges <= (isRecent ? rangesMax : (this.#apart.get(leaf) ?? 1))) continue
      const all = await rangesOf(connection, leaf)
      if (isRecent) {
        for (let i = 0; i < mergedAtOnce; i += 2) {
          await mergeRanges(connection, leaf, all.slice(i, i + 2))
        }
      } else if ((await mostEntriesOf(connection, all)) > rangeEntries) {
        this.#apart.set(leaf, ranges)
      } else {
        await mergeRanges(connection, leaf, all)
      }
    }
  }
}

function byBucket(leaves: readonly Leaf[]): Iterable<Leaf[]> {
  const buckets = new Map<number, Leaf[]>()
  for (const leaf of leaves) {
    const own = buckets.get(leaf.bucket)
    if (own === undefined) buckets.set(leaf.bucket, [leaf])
    else own.push(leaf)
  }
  return buckets.values()
}

/** Whether roll-ups make enough of a difference for the room they take. */
function isWorthIt({ entries, accounts, most }: Remainder, isComplete: boolean): boolean {
  if (isComplete && entries <= smallEntries) return true
  return entries >= accounts * entriesPerAccountMin || most >= entriesOfAccountMax
}
