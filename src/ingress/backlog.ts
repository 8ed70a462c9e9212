// How much this process has made durable that its own workers have not persisted yet, and whether
// ingress should hold back for them.
// In:  records appended here; how far PostgreSQL is.
// Out: whether to hold; a call when holding ends.
// Absent: refusing anything. What is held counts against the byte budget, and that refuses.

import type { Offset } from '../log/log.ts'

/*
 * Ingress and workers of one process share its cores, and ingress is the faster of the two: left
 * alone it would take the time that the workers need, and the log would grow without end. So past
 * `bytesMax` it holds what it has taken until the workers have caught up, and acknowledgements come
 * as fast as rows. Only while they do catch up, though: with the database away, or while what an
 * earlier process left is applied, the log is there to take what comes. What came meanwhile raises
 * the limit, which then falls by a fifth of what is persisted: ingress goes on, a little slower
 * than the workers, instead of standing still until they have caught up.
 *
 * On a log that several processes share, only what is appended to partitions of this process's own
 * workers counts: of the others nobody here hears how far they are.
 */

/** How fast the limit falls back to `bytesMax`, as a share of what is persisted. */
const catchUpShare = 0.2

/** Without a commit for this long, holding back helps nobody. */
const stallMs = 2000

/** How often it is asked which partitions are ours; they change when processes come and go. */
const oursMs = 500

interface Appended {
  offset: Offset
  bytes: number
}

export class Backlog {
  /** Told when holding ends. */
  onRelease: () => void = () => undefined
  private readonly bytesMax: number
  private readonly appended = new Map<number, Appended[]>()
  private readonly persisted = new Map<number, Offset>()
  private bytes = 0
  private limit: number
  private lastCommitAt = -Infinity
  private stallTimer: NodeJS.Timeout | undefined
  private readonly findOurs: (() => Iterable<number>) | undefined
  private ours = new Set<number>()
  private oursAt = -Infinity

  /** @param findOurs partitions of this process's own workers; all of them unless given */
  constructor(bytesMax: number, findOurs?: () => Iterable<number>) {
    this.bytesMax = bytesMax
    this.limit = bytesMax
    this.findOurs = findOurs
  }

  get isHolding(): boolean {
    return this.bytes > this.limit && !this.isStalled
  }

  private get isStalled(): boolean {
    return performance.now() - this.lastCommitAt >= stallMs
  }

  /** A record of this process is durable. */
  add(partition: number, offset: Offset, bytes: number): void {
    this.lookAround()
    if (this.findOurs !== undefined && !this.ours.has(partition)) return
    // The workers may have been told of it, and be done with it, before we are.
    if (offset < (this.persisted.get(partition) ?? 0)) return
    const waiting = this.appended.get(partition)
    if (waiting) waiting.push({ offset, bytes })
    else this.appended.set(partition, [{ offset, bytes }])
    this.bytes += bytes
    if (this.isStalled) this.limit = Math.max(this.limit, this.bytes)
    this.watch()
  }

  /** Everything of a partition before `next` is in PostgreSQL. */
  advance(partition: number, next: Offset): void {
    this.lookAround()
    this.persisted.set(partition, next)
    const waiting = this.appended.get(partition) ?? []
    let done = 0
    let bytes = 0
    while (done < waiting.length && waiting[done].offset < next) bytes += waiting[done++].bytes
    if (done > 0) {
      waiting.splice(0, done)
      this.bytes -= bytes
      this.limit = Math.max(this.bytesMax, this.limit - bytes * catchUpShare)
      this.lastCommitAt = performance.now()
    }
    if (this.isHolding) this.watch()
    else this.onRelease()
  }

  /** Finds out which partitions are ours, unless it is known from a moment ago. */
  private lookAround(): void {
    const now = performance.now()
    if (this.findOurs === undefined || now - this.oursAt < oursMs) return
    this.oursAt = now
    this.ours = new Set(this.findOurs())
    for (const partition of this.appended.keys()) {
      if (!this.ours.has(partition)) this.forget(partition)
    }
  }

  /** Another process works on it now. */
  private forget(partition: number): void {
    for (const { bytes } of this.appended.get(partition) ?? []) this.bytes -= bytes
    this.appended.delete(partition)
  }

  /** A stall ends holding as a commit does, and no commit tells of it. */
  private watch(): void {
    if (this.stallTimer !== undefined || !this.isHolding) return
    const untilStall = this.lastCommitAt + stallMs - performance.now()
    this.stallTimer = setTimeout(() => {
      this.stallTimer = undefined
      if (this.isHolding) this.watch()
      else this.onRelease()
    }, untilStall + 1)
    this.stallTimer.unref()
  }
}
