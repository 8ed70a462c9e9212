// Publishes progress as committed offsets of a consumer group, for the lag tools that operators
// have.
// In:  checkpoints, as often as they move.
// Out: commits every few seconds, of what moved since.
// Absent: reading them back; PostgreSQL knows the progress.

// The group has no members: a commit from outside is accepted only then. Those who share the work
// meet in another one.

import type { Logger } from '../observe/logger.ts'
import { messageOf } from '../errors.ts'
import { type Addon, type Consumer, type KafkaConnection } from './kafka-addon.ts'
import { clientSettings, connect, create, logEntry, promised } from './kafka-addon.ts'
import { within } from './kafka-time.ts'
import type { Offset } from './log.ts'

const periodMs = 3000
const connectMs = 5000
const answerMs = 1000

export class KafkaCommits {
  private readonly consumer: Consumer
  private readonly topic: string
  private readonly logger: Logger
  private moved = new Map<number, Offset>()
  private published = new Map<number, Offset>()
  private timer: NodeJS.Timeout | undefined
  private connecting: Promise<void> | undefined
  private answered: (() => void) | undefined
  private closed = false

  constructor(addon: Addon, connection: KafkaConnection, topic: string, group: string) {
    this.topic = topic
    this.logger = connection.logger
    const fixed = { 'group.id': group, 'enable.auto.commit': false, offset_commit_cb: true }
    const settings = clientSettings(connection, {}, fixed)
    this.consumer = create(() => new addon.KafkaConsumer(settings))
    this.consumer.on('event.log', (entry) => logEntry(this.logger, entry))
    this.consumer.on('offset.commit', (error) => this.heard(error))
    this.consumer.setDefaultConsumeTimeout(0)
  }

  release(positions: ReadonlyMap<number, Offset>): void {
    if (this.closed) return
    for (const [partition, offset] of positions) {
      if (offset > (this.published.get(partition) ?? -1)) this.moved.set(partition, offset)
    }
    if (this.moved.size === 0 || this.timer !== undefined) return
    this.timer = setTimeout(() => {
      this.timer = undefined
      void this.publish()
    }, periodMs).unref()
  }

  /** Publishes what is left, if the brokers answer at once. */
  async close(): Promise<void> {
    if (this.closed) return
    this.closed = true
    clearTimeout(this.timer)
    await within(answerMs, this.publish())
    if (this.connecting === undefined) return
    await within(
      connectMs,
      promised((done) => this.consumer.disconnect(done)),
    )
  }

  private async publish(): Promise<void> {
    const { topic, moved } = this
    if (moved.size === 0) return
    this.moved = new Map()
    try {
      this.connecting ??= connect(this.consumer, topic, connectMs)
      await this.connecting
      const answer = new Promise<void>((resolve) => (this.answered = resolve))
      this.consumer.commit([...moved].map(([partition, offset]) => ({ topic, partition, offset })))
      for (const [partition, offset] of moved) this.published.set(partition, offset)
      await this.poll(answer)
    } catch (error) {
      this.connecting = undefined
      this.heard(error)
    }
  }

  /** The answer is handed out only to a consumer that asks for records, of which there are none. */
  private async poll(answer: Promise<void>): Promise<void> {
    for (let polls = 0; polls < 20 && this.answered !== undefined; polls += 1) {
      await promised((done) => this.consumer.consume(1, done)).catch(() => {})
      await within(answerMs / 20, answer)
    }
  }

  private heard(error: unknown): void {
    this.answered?.()
    this.answered = undefined
    if (error) this.logger.warn(`kafka: progress not published: ${messageOf(error)}`)
  }
}
