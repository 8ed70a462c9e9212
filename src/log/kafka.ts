// The log on Kafka: one topic, whose partitions are the log's.
// In:  brokers, a topic, a group to publish progress in.
// Out: a Log.
// Absent: who works on which partition (kafka-membership.ts).

import { LedgerError, messageOf } from '../errors.ts'
import { partitionCount } from '../record/layout.ts'
import {
  type Addon,
  type Consumer,
  type KafkaConnection,
  clientSettings,
  connect,
  create,
  loadAddon,
  logEntry,
} from './kafka-addon.ts'
import { KafkaAdmin } from './kafka-admin.ts'
import { KafkaCommits } from './kafka-commits.ts'
import { KafkaHealth } from './kafka-health.ts'
import { KafkaProducer } from './kafka-producer.ts'
import { KafkaReader, type ReaderHost } from './kafka-reader.ts'
import { backoff } from './kafka-time.ts'
import { ensureTopic, type JudgedTopic, type TopicPlan } from './kafka-topic.ts'
import { KafkaWatch } from './kafka-watch.ts'
import type { Log, LogRange, LogReader, Offset, ReaderOptions } from './log.ts'

export { createKafkaMembership } from './kafka-membership.ts'

export interface KafkaLogOptions extends KafkaConnection {
  topic: string
  /** Of a topic that is created; an existing one must have as many. 128 unless given. */
  partitions?: number
  /** Of a topic that is created; unless given, three or as many as there are brokers. */
  replicationFactor?: number
  /** A topic that does not exist is not created. */
  mustExist?: boolean
  /** Consumer group in which progress is published. */
  group: string
}

/** Prefetched by each reader, in KiB; a batch may exceed it. */
const prefetchKib = 32 * 1024
const fetchBytes = 8 * 1024 * 1024
const partitionFetchBytes = 1024 * 1024
/**
 * A fetch names every partition of its reader and costs broker and client alike, and the broker
 * answers it as soon as it has so much or so long has passed. Answered at the first byte, every
 * record got a fetch of its own.
 */
const fetchBytesMin = 256 * 1024
const fetchWaitMs = 20
const statisticsMs = 2000
const connectMs = 5000

/**
 * Opens the topic, creating it if absent. Waits for the brokers for ever.
 *
 * Rejects with DEPENDENCY_MISSING, CONFIG_INVALID (a property, or the login), TOPIC_UNSUITABLE,
 * PARTITION_COUNT_CHANGED.
 */
export async function openKafkaLog(options: KafkaLogOptions): Promise<Log> {
  const { topic, replicationFactor } = options
  const plan: TopicPlan = {
    topic,
    partitions: options.partitions ?? partitionCount,
    ...(replicationFactor !== undefined && { replicationFactor }),
    ...(options.mustExist && { mustExist: true }),
  }
  const addon = await loadAddon()
  const admin = new KafkaAdmin(addon, options, topic)
  try {
    const opened = await ensureTopic(admin, options, plan)
    const log = new KafkaLog(addon, admin, options, opened)
    await log.open()
    return log
  } catch (error) {
    admin.close()
    throw error
  }
}

class KafkaLog implements Log {
  /** The topic's id is random and made with the topic; brokers never use it again. */
  readonly identity: string
  private readonly addon: Addon
  private readonly admin: KafkaAdmin
  private readonly options: KafkaLogOptions
  private readonly health: KafkaHealth
  private readonly producer: KafkaProducer
  private readonly watch: KafkaWatch
  private readonly commits: KafkaCommits
  private readonly readers = new Set<KafkaReader>()
  private closing = false

  constructor(addon: Addon, admin: KafkaAdmin, options: KafkaLogOptions, opened: JudgedTopic) {
    const { topic, group } = options
    this.identity = `kafka:${topic}:${opened.id}`
    this.addon = addon
    this.admin = admin
    this.options = options
    this.health = new KafkaHealth(options.logger)
    const plan = { topic, batchBytesMax: opened.batchBytesMax }
    this.producer = new KafkaProducer(addon, options, plan, this.health)
    this.watch = new KafkaWatch(admin, this.health, topic, opened, options.logger)
    this.commits = new KafkaCommits(addon, options, topic, group)
  }

  async open(): Promise<void> {
    await this.producer.open()
    this.watch.start(() => {
      for (const reader of this.readers) void reader.beat()
    })
  }

  append(partition: number, bytes: Uint8Array, timestamp?: number): Promise<Offset> {
    if (this.health.broken !== undefined) return Promise.reject(this.health.broken)
    return this.producer.append(partition, bytes, timestamp)
  }

  async openReader(options: ReaderOptions): Promise<LogReader> {
    for (let attempt = 0; !this.closing; attempt += 1) {
      const arrival = { signal: (): void => {} }
      const consumer = this.consumer(() => arrival.signal())
      try {
        await connect(consumer, this.options.topic, connectMs)
        const reader = new KafkaReader(consumer, this.host(), options)
        arrival.signal = () => reader.signal()
        this.readers.add(reader)
        return reader
      } catch (error) {
        this.options.logger.warn(`kafka: a reader cannot connect: ${messageOf(error)}`)
        await backoff(attempt)
      }
    }
    throw new LedgerError('STOPPING', 'The log is being closed.')
  }

  async ranges(partitions: readonly number[]): Promise<Map<number, LogRange>> {
    try {
      return await this.admin.ranges(partitions)
    } catch (cause) {
      if (cause instanceof LedgerError) throw cause
      const message = `Topic ${this.options.topic}: no answer about its offsets`
      throw new LedgerError('LOG_UNAVAILABLE', `${message}: ${messageOf(cause)}.`, { cause })
    }
  }

  async release(positions: ReadonlyMap<number, Offset>): Promise<void> {
    this.commits.release(positions)
  }

  unavailable(): string | undefined {
    return this.health.unavailable()
  }

  async close(): Promise<void> {
    if (this.closing) return
    this.closing = true
    await Promise.all([this.producer.close(), this.commits.close(), this.watch.stop()])
    this.admin.close()
  }

  private host(): ReaderHost {
    const { topic, logger } = this.options
    return {
      topic,
      logger,
      broken: () => this.health.broken,
      look: () => this.watch.look(),
      ranges: (partitions) => this.ranges(partitions),
      forget: (reader) => this.readers.delete(reader),
    }
  }

  private consumer(onArrival: () => void): Consumer {
    const { options } = this
    const defaults = {
      'queued.max.messages.kbytes': prefetchKib,
      'queued.min.messages': 1_000_000,
      'fetch.min.bytes': fetchBytesMin,
      'fetch.wait.max.ms': fetchWaitMs,
      'fetch.max.bytes': fetchBytes,
      'max.partition.fetch.bytes': partitionFetchBytes,
      'fetch.queue.backoff.ms': 20,
      'fetch.error.backoff.ms': 100,
    }
    const fixed = {
      'group.id': options.group,
      'enable.auto.commit': false,
      'enable.auto.offset.store': false,
      'enable.partition.eof': false,
      'auto.offset.reset': 'error',
      'check.crcs': true,
      'statistics.interval.ms': statisticsMs,
      queue_non_empty_cb: onArrival,
    }
    const settings = clientSettings(options, defaults, fixed)
    const consumer = create(() => new this.addon.KafkaConsumer(settings))
    return consumer.on('event.log', (entry) => logEntry(options.logger, entry))
  }
}
