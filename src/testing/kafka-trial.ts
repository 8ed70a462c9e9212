// What the tests of the Kafka log share: a broker, topics of their own, and what was logged.
// In:  a real broker.
// Out: logs and admin calls on it.
// Absent: any promise.

import { setTimeout as delay } from 'node:timers/promises'
import pino, { type Logger } from 'pino'
import { type TestKafka, type TestKafkaOptions, startTestKafka } from './kafka.ts'
import { type Addon, type Admin, loadAddon, promised } from '../log/kafka-addon.ts'
import { type KafkaLogOptions, openKafkaLog } from '../log/kafka.ts'
import type { Log, LogReader, LogRecord, Offset } from '../log/log.ts'

const timeout = 10_000
const patienceMs = 30_000

export class KafkaTrial {
  readonly kafka: TestKafka
  readonly addon: Addon
  readonly admin: Admin
  private topics = 0

  private constructor(kafka: TestKafka, addon: Addon) {
    this.kafka = kafka
    this.addon = addon
    this.admin = addon.AdminClient.create({ 'bootstrap.servers': kafka.brokers }, {})
  }

  static async start(options: TestKafkaOptions = {}): Promise<KafkaTrial> {
    const addon = await loadAddon()
    return new KafkaTrial(await startTestKafka(options), addon)
  }

  async end(): Promise<void> {
    this.admin.disconnect()
    await this.kafka.destroy()
  }

  /** A name nobody used. */
  topic(): string {
    this.topics += 1
    return `ledger-${this.topics}`
  }

  options(changes: Partial<KafkaLogOptions> = {}): KafkaLogOptions {
    const topic = changes.topic ?? this.topic()
    const { brokers } = this.kafka
    const logger = pino({ level: 'silent' })
    return { brokers, topic, partitions: 8, group: topic, properties: {}, logger, ...changes }
  }

  /** A log that gives up deliveries sooner than the program would. */
  async open(changes: Partial<KafkaLogOptions> = {}): Promise<Log> {
    return openKafkaLog(this.options({ properties: { 'message.timeout.ms': '3000' }, ...changes }))
  }

  async createTopic(
    topic: string,
    partitions: number,
    config: Record<string, string> = {},
  ): Promise<void> {
    const wanted = { topic, num_partitions: partitions, replication_factor: 1, config }
    await promised((done) => this.admin.createTopic(wanted, timeout, done))
  }

  /** Deletes a topic and waits until the brokers forget it. */
  async deleteTopic(topic: string): Promise<void> {
    await promised((done) => this.admin.deleteTopic(topic, timeout, done))
    await until(async () => !(await this.topicsKnown()).includes(topic))
  }

  /** Deletes the records of a partition below `offset`. */
  async truncate(topic: string, partition: number, offset: Offset): Promise<void> {
    const positions = [{ topic, partition, offset }]
    await promised((done) => this.admin.deleteRecords(positions, { timeout }, done))
  }

  private topicsKnown(): Promise<string[]> {
    return promised((done) => this.admin.listTopics({ timeout }, done))
  }
}

/** A logger, and the lines it wrote. */
export function collectingLogger(): { logger: Logger; lines: Record<string, unknown>[] } {
  const lines: Record<string, unknown>[] = []
  const write = (line: string): void => {
    lines.push(JSON.parse(line) as Record<string, unknown>)
  }
  return { logger: pino({ level: 'debug' }, { write }), lines }
}

/** Waits until `condition` holds; the test fails when that takes too long. */
export async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = Date.now() + patienceMs
  while (!(await condition())) {
    if (Date.now() > deadline)
      throw new Error(`Not within ${patienceMs} ms: ${condition.toString()}`)
    await delay(20)
  }
}

/** Reads on, keeping copies, until `done` says so. */
export async function readUntil(
  reader: LogReader,
  done: (records: readonly LogRecord[]) => boolean,
): Promise<LogRecord[]> {
  const records: LogRecord[] = []
  await until(async () => {
    for (const record of await reader.read(1 << 20)) {
      records.push({ ...record, bytes: Uint8Array.from(record.bytes) })
    }
    return done(records)
  })
  return records
}
