// Questions about the topic, one at a time.
// In:  the native client's admin calls.
// Out: what the topic is now, and what its partitions hold.
// Absent: judging the answers (kafka-topic.ts).

import { setTimeout as delay } from 'node:timers/promises'
import { LedgerError } from '../errors.ts'
import {
  type Addon,
  type Admin,
  type KafkaConnection,
  type KafkaError,
  type ListedOffset,
  type TopicDescription,
  clientSettings,
  codeOf,
  create,
  kafkaErrors,
  logEntry,
  promised,
} from './kafka-addon.ts'
import type { LogRange, Offset } from './log.ts'

export interface TopicState {
  /** Chosen at random when the topic is created; `undefined` when the brokers give topics no id. */
  id: string | undefined
  partitions: number
  /** The fewest replicas of any partition. */
  replication: number
  /** Partitions that no broker leads now. */
  leaderless: number[]
  /** The fewest in-sync replicas of any partition now. */
  insync: number
}

const answerMs = 3000
const createMs = 15_000
const noId = 'AAAAAAAAAAAAAAAAAAAAAA'

export class KafkaAdmin {
  /** Why the brokers do not let us in, once they have said so. */
  refusal: LedgerError | undefined
  private readonly addon: Addon
  private readonly admin: Admin
  private readonly topic: string
  private last: Promise<unknown> = Promise.resolve()
  private closed = false

  constructor(addon: Addon, connection: KafkaConnection, topic: string) {
    const { logger } = connection
    this.addon = addon
    this.topic = topic
    let reason = ''
    this.admin = create(() =>
      addon.AdminClient.create(clientSettings(connection, {}, {}), {
        'event.log': (entry: Parameters<typeof logEntry>[1]) => {
          if (/authentication/i.test(entry.message)) reason = `: ${entry.message}`
          logEntry(logger, entry)
        },
        'event.error': (error: KafkaError) => {
          if (!/authentication failure/i.test(error.message)) return
          this.refusal = new LedgerError('CONFIG_INVALID', `Kafka refuses the login${reason}`)
        },
      }),
    )
  }

  /** The topic as the brokers know it; `undefined` when there is none. */
  async describe(): Promise<TopicState | undefined> {
    const [found] = await this.ask((admin) =>
      promised<TopicDescription[]>((done) =>
        admin.describeTopics([this.topic], { timeout: answerMs }, done),
      ),
    )
    if (found === undefined) throw new Error('the brokers did not describe the topic')
    if (codeOf(found.error ?? {}) === kafkaErrors.unknownTopic) return undefined
    if (found.error !== undefined) throw new Error(found.error.message)
    const { topicId, partitions } = found
    const counts = (name: 'replicas' | 'isr'): number =>
      partitions.reduce((least, each) => Math.min(least, each[name].length), Infinity)
    return {
      id: topicId.base64 === noId ? undefined : topicId.base64,
      partitions: partitions.length,
      replication: counts('replicas'),
      leaderless: partitions.filter(({ leader }) => !leader).map(({ partition }) => partition),
      insync: counts('isr'),
    }
  }

  async countBrokers(): Promise<number> {
    const options = { allTopics: false, timeout: answerMs }
    const { brokers } = await this.ask((admin) =>
      promised<{ brokers: unknown[] }>((done) => admin.getMetadata(options, done)),
    )
    return brokers.length
  }

  async createTopic(
    partitions: number,
    replication: number,
    config: Record<string, string>,
  ): Promise<void> {
    const topic = {
      topic: this.topic,
      num_partitions: partitions,
      replication_factor: replication,
      config,
    }
    await this.ask((admin) => promised((done) => admin.createTopic(topic, createMs, done)))
  }

  async ranges(partitions: readonly number[]): Promise<Map<number, LogRange>> {
    if (partitions.length === 0) return new Map()
    const { EARLIEST, LATEST } = this.addon.OffsetSpec
    // The end is asked for last, so that it is never before the beginning.
    const first = await this.offsets(partitions, EARLIEST)
    const next = await this.offsets(partitions, LATEST)
    return new Map(
      partitions.map((partition) => {
        const range = { first: first.get(partition) ?? 0, next: next.get(partition) ?? 0 }
        return [partition, range]
      }),
    )
  }

  close(): void {
    if (this.closed) return
    this.closed = true
    this.admin.disconnect()
  }

  /**
   * Asks again for a moment: after a restart the client knows leaders of before, and learns better
   * by asking.
   */
  private async offsets(
    partitions: readonly number[],
    offset: unknown,
  ): Promise<Map<number, Offset>> {
    const { topic } = this
    const wanted = partitions.map((partition) => ({ topic, partition, offset }))
    const deadline = performance.now() + answerMs
    for (;;) {
      const listed = await this.ask((admin) =>
        promised<ListedOffset[]>((done) => admin.listOffsets(wanted, { timeout: answerMs }, done)),
      )
      const failed = listed.find(({ error }) => error !== undefined)
      if (failed?.error === undefined) {
        return new Map(listed.map((each) => [each.partition, each.offset]))
      }
      if (performance.now() > deadline) {
        throw new Error(`partition ${failed.partition}: ${failed.error.message}`)
      }
      await delay(100)
    }
  }

  /**
   * Each call holds one of the few threads of the process's pool until it is answered, and a lock
   * besides; one at a time leaves the other threads to everybody else when no broker answers.
   */
  private ask<T>(call: (admin: Admin) => Promise<T>): Promise<T> {
    const turn = this.last.then(() => {
      if (this.closed) throw new LedgerError('STOPPING', 'The log is closed.')
      return call(this.admin)
    })
    this.last = turn.catch(() => {})
    return turn
  }
}
