// Gaps in the offsets: harmless control records, or records that the client left out because they
// are damaged.
// In:  the offset expected and the one that came; errors of the connection.
// Out: nothing when the gap is there again at a second reading without an error; otherwise the
//      fault.
// Absent: how records are read.

import { LedgerError, messageOf } from '../errors.ts'
import type { Logger } from '../observe/logger.ts'
import { type Consumer, promised } from './kafka-addon.ts'
import type { Track } from './kafka-reader.ts'
import type { Offset } from './log.ts'

interface Gap {
  /** The partition is to be set back first; what still comes of it is of before. */
  stale: boolean
  /** What went wrong since it was set back. */
  error: string | undefined
}

/**
 * What the second reading of a gap says: take the record behind it, drop that record, or give the
 * partition up.
 */
export type GapVerdict = 'take' | 'drop' | LedgerError

const seekMs = 5000

export class KafkaGaps {
  private readonly consumer: Consumer
  private readonly topic: string
  private readonly logger: Logger
  private readonly gaps = new Map<Track, Gap>()

  constructor(consumer: Consumer, topic: string, logger: Logger) {
    this.consumer = consumer
    this.topic = topic
    this.logger = logger
  }

  /**
   * While a gap is looked into, records are to be read one at a time, so that an error cannot hide
   * behind one.
   */
  get open(): boolean {
    return this.gaps.size > 0
  }

  clear(): void {
    this.gaps.clear()
  }

  /** An error while gaps are looked into may be about any of them. */
  failed(error: unknown): void {
    for (const gap of this.gaps.values()) gap.error ??= messageOf(error)
  }

  /** Judges the record at `offset`, where `track.next` was expected. */
  judge(track: Track, offset: Offset): GapVerdict {
    const gap = this.gaps.get(track)
    if (gap?.stale === true) return 'drop'
    if (offset === track.next) {
      this.gaps.delete(track)
      return 'take'
    }
    if (gap === undefined) {
      this.gaps.set(track, { stale: true, error: undefined })
      return 'drop'
    }
    this.gaps.delete(track)
    const { partition, next } = track
    const range = `offsets ${next} to ${offset - 1}`
    if (gap.error !== undefined) {
      const message = `Partition ${partition}: expected ${range}, found them unreadable`
      return new LedgerError('OFFSET_GONE', `${message}: ${gap.error}.`)
    }
    this.logger.info({ partition }, `kafka: ${range} hold no records`)
    return 'take'
  }

  /** Sets back the partitions in which a gap was found. Called between two reads. */
  async setBack(): Promise<void> {
    for (const [track, gap] of this.gaps) {
      if (!gap.stale) continue
      const position = { topic: this.topic, partition: track.partition, offset: track.next }
      try {
        await promised((done) => this.consumer.seek(position, seekMs, done))
        gap.stale = false
      } catch (error) {
        this.logger.debug(`kafka: ${JSON.stringify(position)} not set back: ${messageOf(error)}`)
      }
    }
  }
}
