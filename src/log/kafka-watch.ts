// Looks at the topic every other second: is it still the one that was opened, and can it take
// appends?
// In:  what the topic was when opened.
// Out: news to the log's health, and a beat to the readers.
// Absent: what readers do with it.

import { setTimeout as delay } from 'node:timers/promises'
import { LedgerError, messageOf } from '../errors.ts'
import type { Logger } from '../observe/logger.ts'
import type { KafkaAdmin } from './kafka-admin.ts'
import type { KafkaHealth } from './kafka-health.ts'
import type { JudgedTopic } from './kafka-topic.ts'

const periodMs = 2000

export class KafkaWatch {
  private readonly admin: KafkaAdmin
  private readonly health: KafkaHealth
  private readonly topic: string
  private readonly opened: JudgedTopic
  private readonly logger: Logger
  private readonly stopped = new AbortController()
  private running: Promise<void> = Promise.resolve()

  constructor(
    admin: KafkaAdmin,
    health: KafkaHealth,
    topic: string,
    opened: JudgedTopic,
    logger: Logger,
  ) {
    this.admin = admin
    this.health = health
    this.topic = topic
    this.opened = opened
    this.logger = logger
  }

  /** Looks from time to time, and calls `onLooked` after each. */
  start(onLooked: () => void): void {
    this.running = this.run(onLooked)
  }

  async stop(): Promise<void> {
    this.stopped.abort()
    await this.running
  }

  /** Looks now. Whether an answer came; what it says is in the health. */
  async look(): Promise<boolean> {
    const since = performance.now()
    try {
      const reason = await this.complaint()
      if (reason === undefined) this.health.found(since)
      else this.health.failed(reason)
      return true
    } catch (error) {
      this.health.unanswered(since, `Kafka does not answer: ${messageOf(error)}.`)
      return false
    }
  }

  private async run(onLooked: () => void): Promise<void> {
    const { signal } = this.stopped
    while (!signal.aborted) {
      await delay(periodMs, undefined, { signal, ref: false }).catch(() => {})
      if (signal.aborted) return
      await this.look()
      onLooked()
    }
  }

  private async complaint(): Promise<string | undefined> {
    const { topic, opened } = this
    const found = await this.admin.describe()
    if (found === undefined) return `Topic ${topic} does not exist any more.`
    if (found.id !== opened.id) {
      const ids = `expected id ${opened.id}, found ${found.id}: it was made anew`
      this.break(new LedgerError('LOG_IDENTITY_CHANGED', `Topic ${topic}: ${ids}.`))
    } else if (found.partitions !== opened.partitions) {
      const counts = `expected ${opened.partitions} partitions, found ${found.partitions}`
      this.break(new LedgerError('PARTITION_COUNT_CHANGED', `Topic ${topic}: ${counts}.`))
    }
    if (found.leaderless.length > 0) {
      return `Topic ${topic}: no broker leads partition ${found.leaderless.join(', ')}.`
    }
    if (found.insync < opened.minInsyncReplicas) {
      const wanted = `expected ${opened.minInsyncReplicas} in-sync replicas`
      return `Topic ${topic}: ${wanted}, found ${found.insync} of some partition.`
    }
    return undefined
  }

  private break(error: LedgerError): void {
    if (this.health.broken !== undefined) return
    this.health.broken = error
    this.logger.error({ code: error.code }, `kafka: ${error.message}`)
  }
}
