// Makes the chains of a bucket longer: reads back what was committed, and appends links over it.
// In:  a connection nobody else uses meanwhile, a bucket.
// Out: links, in one transaction, in which what they say was read.
// Absent: when to do it (worker/chainer.ts); any part in a flush.

/*
 * What lies below a checkpoint never changes: rows of a record come with its checkpoint, and no
 * record that comes later has an older created_at (worker/created.ts). So links may be made at any
 * time after, by anyone; a crash of PostgreSQL that forgets the newest flushes
 * forgets no link without them, since links are committed after them, and synchronously.
 */

import assert from 'node:assert/strict'
import { chainRowsMax } from '../../limits.ts'
import { LedgerError } from '../../errors.ts'
import type { Connection } from '../../postgres/connection.ts'
import { sqlState } from '../../postgres/retry.ts'
import type { Offset } from '../../log/log.ts'
import type { Moment } from '../moment.ts'
import { Content, linkHash, noHash, type Link } from './digest.ts'
import { appendLinks, quarantinedItems, readTips, type QuarantinedItem } from './links.ts'
import { beforeOldest, readWindow } from './read.ts'
import { settledLeaves, type Observation, type PartitionHead } from './settled.ts'
import { conflictShape, rowShape, Tuples } from './tuples.ts'
import { Windows } from './windows.ts'

/** Sessions that make the chains of the same bucket longer exclude each other. */
const chainLock = 0x1ed6ea

export interface Extended {
  links: number
  rows: number
  /** There was more than one window of it. */
  isBehind: boolean
}

const nothing: Extended = { links: 0, rows: 0, isBehind: false }

/** A partition that has something to be linked. */
interface Due {
  head: PartitionHead
  tip: Link | undefined
}

export class ChainExtender {
  readonly #rows = new Tuples(rowShape, chainRowsMax)
  readonly #conflicts = new Tuples(conflictShape, chainRowsMax)
  readonly #windows = new Map<number, Windows>()

  /**
   * One window of a bucket, up to what was observed. Undefined while leaves that were open then
   * still are, or somebody else is at work on the bucket: it is for another time.
   */
  async extend(connection: Connection, observed: Observation): Promise<Extended | undefined> {
    const leaves = await settledLeaves(connection, observed)
    if (leaves === undefined) return undefined
    await connection.execute('BEGIN ISOLATION LEVEL REPEATABLE READ')
    try {
      const done = await this.#extendSettled(connection, observed, leaves)
      await connection.execute('COMMIT')
      return done
    } catch (error) {
      if (connection.lost === undefined) await connection.execute('ROLLBACK')
      const cause = error instanceof LedgerError ? error.cause : error
      // Somebody has appended the same links since our snapshot.
      if (sqlState(cause) === '23505') return undefined
      throw error
    }
  }

  async #extendSettled(
    connection: Connection,
    { bucket, heads }: Observation,
    leaves: readonly string[],
  ): Promise<Extended | undefined> {
    const lock = `SELECT pg_try_advisory_xact_lock(${chainLock}, ${bucket}) AS taken`
    if ((await connection.queryOne<{ taken: boolean }>(lock))?.taken !== true) return undefined
    const tips = await readTips(
      connection,
      heads.map(({ partition }) => partition),
    )
    const due = heads.map((head) => ({ head, tip: tips.get(head.partition) })).filter(isDue)
    if (due.length === 0) return nothing
    const floor = Math.min(...due.map(floorOf))
    const last = Math.max(...due.map(({ head }) => head.createdAt))
    const ceiling = await this.#read(connection, bucket, leaves, floor, last)
    const steps = due.map((one) => ({ ...one, ...stepOf(one, ceiling) })).filter(isStep)
    const spans = steps.map(({ head, fromOffset: from, toOffset: to }) => {
      return [head.partition, { from, to }] as const
    })
    const items = await quarantinedItems(connection, new Map(spans))
    const links = steps.map((step) => this.#link(step, items.get(step.head.partition) ?? []))
    if (links.length > 0) await appendLinks(connection, links)
    const rows = links.reduce((sum, link) => sum + link.rows, 0)
    return { links: links.length, rows, isBehind: ceiling < last }
  }

  /** Reads what one window holds, and returns where it ends. */
  async #read(
    connection: Connection,
    bucket: number,
    leaves: readonly string[],
    from: Moment,
    last: Moment,
  ): Promise<Moment> {
    const tuples = { rows: this.#rows, conflicts: this.#conflicts }
    let windows = this.#windows.get(bucket)
    if (windows === undefined) this.#windows.set(bucket, (windows = new Windows(chainRowsMax)))
    const oldest = from === -Infinity ? await beforeOldest(connection, leaves) : from
    const floor = oldest ?? last
    if (floor < last) return readWindow(connection, leaves, { floor, last }, windows, tuples)
    for (const each of Object.values(tuples)) each.clear()
    return last
  }

  #link(
    { head: { partition }, tip, ...step }: Step & Due,
    items: readonly QuarantinedItem[],
  ): Link {
    const { from, toCreatedAt, toOffset } = step
    const content = new Content()
    for (const group of this.#rows.groupsOf(partition, from, toCreatedAt)) {
      content.addRows(this.#rows, group)
    }
    for (const group of this.#conflicts.groupsOf(partition, from, toCreatedAt)) {
      content.addConflicts(this.#conflicts, group)
    }
    for (const { item } of items) content.addQuarantined(item)
    const { rows, sum, conflicts, quarantined } = content
    const link = (tip?.link ?? 0n) + 1n
    const counts = { rows, sum, conflicts, quarantined, content: content.digest() }
    const fields = { partition, link, toCreatedAt, toOffset, ...counts }
    return { ...fields, hash: linkHash(tip?.hash ?? noHash, fields) }
  }
}

/** What one link covers. */
interface Step {
  from: Moment
  toCreatedAt: Moment
  fromOffset: Offset
  toOffset: Offset
}

function stepOf({ head, tip }: Due, ceiling: Moment): Step {
  const reachesHead = ceiling >= head.createdAt
  const fromOffset = tip?.toOffset ?? 0
  return {
    from: tip?.toCreatedAt ?? -Infinity,
    toCreatedAt: reachesHead ? head.createdAt : ceiling,
    fromOffset,
    toOffset: reachesHead ? head.nextOffset : fromOffset,
  }
}

function isStep({ from, toCreatedAt, fromOffset, toOffset }: Step): boolean {
  return toCreatedAt > from || toOffset > fromOffset
}

function isDue({ head, tip }: Due): boolean {
  if (tip === undefined) return head.nextOffset > 0
  return head.createdAt > tip.toCreatedAt || head.nextOffset > tip.toOffset
}

/** From when on something of it may not be linked yet. */
function floorOf({ head: { createdAt, pause }, tip }: Due): Moment {
  const known = tip?.toCreatedAt ?? -Infinity
  // Only its offset moved.
  if (createdAt <= known) return Infinity
  const isInPause = pause !== undefined && known >= pause.from && known < pause.to
  if (!isInPause) return known
  assert(pause.to > pause.from)
  return Math.max(known, pause.to - 1)
}
