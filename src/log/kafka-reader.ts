// Reads partitions from exact offsets through a connection of its own.
// In:  positions.
// Out: records in offset order; a fault for each partition that cannot be read on.
// Absent: consumer groups, committed offsets, any position chosen by the client or a broker.

// The client reports errors by partition, but the addon drops the partition, and drops the error
// itself when records came with it. Nothing is skipped unseen nevertheless:
// - A position the log does not have stops the client from fetching that partition
//   (auto.offset.reset=error). Errors that do surface, and the fetch state in its statistics, lead
//   to a comparison of positions with what the log holds.
// - A batch that fails its checksum is left out by the client, which goes on behind it. That is a
//   gap in the offsets; so is a control record, which is harmless. A gap is read again one record
//   at a time, so that the error cannot hide.
// - A topic made anew has another id, which is compared at each assignment, every other second, and
//   when a leader epoch goes backwards.

import { LedgerError, messageOf } from '../errors.ts'
import type { Logger } from '../observe/logger.ts'
import { type ConsumedRecord, type Consumer, codeOf, kafkaErrors, promised } from './kafka-addon.ts'
import { KafkaGaps } from './kafka-gaps.ts'
import { Backlog } from './kafka-backlog.ts'
import { fetchStates } from './kafka-statistics.ts'
import { backoff, within } from './kafka-time.ts'
import type { LogRange, LogReader, LogRecord, Offset, ReaderOptions } from './log.ts'

/** What a reader needs to know of its log. */
export interface ReaderHost {
  topic: string
  logger: Logger
  /** Why nothing of this topic may be read any more. */
  broken(): LedgerError | undefined
  /** Compares the topic with the one opened. Whether the brokers answered. */
  look(): Promise<boolean>
  ranges(partitions: readonly number[]): Promise<Map<number, LogRange>>
  /** Called when the reader is closed. */
  forget(reader: KafkaReader): unknown
}

/** How far one partition has been read. */
export interface Track {
  partition: number
  /** Records below were returned, or are in the backlog. */
  next: Offset
  leaderEpoch: number
  faulted: boolean
  /** Statistics in a row that say it is not being fetched. */
  stalls: number
}

const idleMs = 100
const restMs = 4000
const closeMs = 5000
const empty = new Uint8Array(0)
const recordsMax = 1000
/** Once may be a moment between two states. */
const stallsMax = 2
const complaintMs = 10_000

export class KafkaReader implements LogReader {
  private readonly consumer: Consumer
  private readonly host: ReaderHost
  private readonly options: ReaderOptions
  private readonly backlog = new Backlog()
  private readonly gaps: KafkaGaps
  private tracks = new Map<number, Track>()
  private turn: Promise<unknown> = Promise.resolve()
  private arrived = false
  private wake: (() => void) | undefined
  private suspicious = false
  /** The last error that was not about a position, since partitions were assigned. */
  private damage: string | undefined
  private assignedAt = 0
  private askedAt = performance.now()
  private resting = false
  private complainedAt = -Infinity
  private closed = false

  constructor(consumer: Consumer, host: ReaderHost, options: ReaderOptions) {
    this.consumer = consumer
    this.host = host
    this.options = options
    this.gaps = new KafkaGaps(consumer, host.topic, host.logger)
    consumer.setDefaultConsumeTimeout(0)
    consumer.on('event.stats', ({ message }) => this.statistics(message))
  }

  async assign(positions: ReadonlyMap<number, Offset>): Promise<void> {
    // Without an answer the watch goes on asking.
    await this.host.look()
    await this.exclusively(async () => {
      const { topic } = this.host
      this.backlog.clear()
      this.gaps.clear()
      this.damage = undefined
      this.tracks = new Map()
      for (const [partition, next] of positions) {
        const track = { partition, next, leaderEpoch: -1, faulted: false, stalls: 0 }
        this.tracks.set(partition, track)
      }
      if (this.closed) return
      const entries = [...positions].map(([partition, offset]) => ({ topic, partition, offset }))
      this.consumer.assign(entries)
      this.assignedAt = Date.now()
      this.askedAt = performance.now()
      this.resting = false
      // A partition that was given up stays paused whatever is assigned.
      this.pause([...this.tracks.values()], false)
    })
    this.suspicious = positions.size > 0
    await this.examine()
  }

  async read(maxBytes: number): Promise<LogRecord[]> {
    this.askedAt = performance.now()
    const deadline = this.askedAt + idleMs
    if (this.resting) await this.exclusively(async () => this.rest(false))
    for (;;) {
      if (this.backlog.length > 0) return this.backlog.take(maxBytes)
      if (this.closed) return []
      this.arrived = false
      await this.exclusively(() => this.consume(maxBytes))
      if (this.backlog.length > 0) continue
      const left = deadline - performance.now()
      if (left <= 0) return []
      if (!this.arrived) await this.sleep(left)
    }
  }

  async close(): Promise<void> {
    if (this.closed) return
    this.closed = true
    this.wake?.()
    await this.turn
    this.host.forget(this)
    await within(
      closeMs,
      promised((done) => this.consumer.disconnect(done)),
    )
  }

  /** The client has something for us. */
  signal(): void {
    this.arrived = true
    this.wake?.()
  }

  /** To be called every few seconds. */
  async beat(): Promise<void> {
    await this.examine()
    if (this.closed || performance.now() - this.askedAt < restMs) return
    await this.exclusively(async () => {
      this.rest(true)
      await this.consume(1)
    })
  }

  /**
   * A reader that is not asked for records lets its partitions rest: it gives up what it has
   * fetched ahead, and takes in the statistics, which would pile up. What a partition gets after
   * its rest follows its track, as always.
   */
  private rest(resting: boolean): void {
    if (this.resting === resting || this.closed) return
    this.resting = resting
    this.pause(
      [...this.tracks.values()].filter(({ faulted }) => !faulted),
      resting,
    )
  }

  private pause(tracks: readonly Track[], paused: boolean): void {
    const { topic, logger } = this.host
    if (tracks.length === 0) return
    const partitions = tracks.map(({ partition }) => ({ topic, partition }))
    try {
      if (paused) this.consumer.pause(partitions)
      else this.consumer.resume(partitions)
    } catch (error) {
      logger.warn({ paused }, `kafka: partitions not paused or resumed: ${messageOf(error)}`)
    }
  }

  /**
   * Compares positions with the log if there was a reason to, and obeys the log's verdict on the
   * topic.
   */
  async examine(): Promise<void> {
    const broken = this.host.broken()
    if (broken !== undefined) {
      for (const track of this.tracks.values()) this.fault(track, broken)
      return
    }
    if (!this.suspicious || this.closed) return
    this.suspicious = false
    const tracks = [...this.tracks.values()].filter(({ faulted }) => !faulted)
    const before = tracks.map(({ next }) => next)
    try {
      const ranges = await this.host.ranges(tracks.map(({ partition }) => partition))
      tracks.forEach((track, at) => {
        const range = ranges.get(track.partition)
        // An assignment made meanwhile has tracks of its own.
        if (range === undefined || this.tracks.get(track.partition) !== track) return
        this.compare(track, before[at] ?? 0, range)
      })
    } catch (error) {
      this.suspicious = true
      this.host.logger.debug(`kafka: positions not compared yet: ${messageOf(error)}`)
    }
  }

  /**
   * `before` is where the partition was read up to when the range was asked for; reading went on
   * since.
   */
  private compare(track: Track, before: Offset, range: LogRange): void {
    const where = `Partition ${track.partition}: expected offset`
    const holds = `the log holds ${range.first} to ${range.next}`
    if (track.next < range.first) {
      this.fault(track, new LedgerError('OFFSET_GONE', `${where} ${track.next}, ${holds}.`))
    } else if (before > range.next) {
      this.fault(track, new LedgerError('OFFSET_BEYOND_END', `${where} ${before}, ${holds}.`))
    } else if (track.stalls >= stallsMax && this.damage !== undefined) {
      const message = `${where} ${track.next}, found it unreadable: ${this.damage}.`
      this.fault(track, new LedgerError('OFFSET_GONE', message))
    } else if (track.stalls >= stallsMax) {
      const again = 'now, but did not when it was read: it lost its end and was written again'
      const message = `${where} ${track.next}, ${holds} ${again}.`
      this.fault(track, new LedgerError('OFFSET_BEYOND_END', message))
    }
  }

  private fault(track: Track, error: LedgerError): void {
    if (track.faulted) return
    track.faulted = true
    const { partition } = track
    this.backlog.drop(partition)
    this.pause([track], true)
    this.options.onFault(partition, error)
  }

  private async consume(maxBytes: number): Promise<void> {
    if (this.closed) return
    const count = this.gaps.open ? 1 : Math.min(this.backlog.expected(maxBytes), recordsMax)
    let records: ConsumedRecord[]
    try {
      records = await promised((done) => this.consumer.consume(count, done))
    } catch (error) {
      this.failed(error)
      return
    }
    if (records.some((record) => this.goesBack(record))) await this.lookUntilAnswered()
    for (const record of records) this.accept(record)
    if (this.gaps.open) await this.gaps.setBack()
  }

  private failed(error: unknown): void {
    const code = codeOf(error)
    if (code === kafkaErrors.timedOut) return
    if (code !== kafkaErrors.noOffset && code !== kafkaErrors.truncated) {
      this.damage ??= messageOf(error)
    }
    const now = performance.now()
    if (now - this.complainedAt > complaintMs) {
      this.complainedAt = now
      this.host.logger.warn(`kafka: reading: ${messageOf(error)}`)
    }
    this.gaps.failed(error)
    this.suspicious = true
    void this.examine()
  }

  private goesBack({ partition, leaderEpoch }: ConsumedRecord): boolean {
    const track = this.tracks.get(partition)
    return track !== undefined && leaderEpoch !== undefined && leaderEpoch < track.leaderEpoch
  }

  /**
   * A leader epoch only goes backwards when the topic is another one; nothing is taken until that
   * is known.
   */
  private async lookUntilAnswered(): Promise<void> {
    for (let attempt = 0; !this.closed && !(await this.host.look()); attempt += 1) {
      await backoff(attempt)
    }
    await this.examine()
  }

  private accept(record: ConsumedRecord): void {
    const { partition, offset, timestamp } = record
    const track = this.tracks.get(partition)
    if (track === undefined || track.faulted || offset < track.next) return
    const verdict = this.gaps.judge(track, offset)
    if (verdict instanceof LedgerError) this.fault(track, verdict)
    if (verdict !== 'take') return
    track.next = offset + 1
    track.stalls = 0
    track.leaderEpoch = record.leaderEpoch ?? track.leaderEpoch
    this.backlog.add({ partition, offset, timestamp, bytes: record.value ?? empty })
  }

  private statistics(message: string): void {
    const { takenAt, states } = fetchStates(message, this.host.topic)
    // They wait with the records; those of before say nothing about this assignment.
    if (takenAt < this.assignedAt) return
    for (const [partition, state] of states) {
      const track = this.tracks.get(partition)
      if (track === undefined || track.faulted) continue
      track.stalls = state === 'none' ? track.stalls + 1 : 0
      if (track.stalls >= stallsMax) this.suspicious = true
    }
    if (this.suspicious) void this.examine()
  }

  private async sleep(ms: number): Promise<void> {
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, ms)
      this.wake = () => {
        clearTimeout(timer)
        resolve()
      }
    })
    this.wake = undefined
  }

  /** Assignments wait for the read under way, so that its records are known to be of before. */
  private async exclusively(work: () => Promise<void>): Promise<void> {
    const mine = this.turn.then(work)
    this.turn = mine.catch(() => {})
    await mine
  }
}
