// What an administrator, or an accident, does to a topic of the tests.
// In:  brokers, and a topic.
// Out: topics made and deleted; records deleted; replicas in sync; records of any bytes appended.
// Absent: the program's ways of appending and reading; leaders (kafka-leaders.ts).

import { setTimeout as delay } from 'node:timers/promises'
import pino from 'pino'
import {
  clientSettings,
  codeOf,
  connect,
  kafkaErrors,
  loadAddon,
  promised,
  type Addon,
  type Admin,
  type DeliveryReport,
  type Producer,
  type TopicDescription,
} from '../log/kafka-addon.ts'

const answerMs = 10_000

/** Bytes for a partition, `null` for a record without any. */
export interface RawRecord {
  partition: number
  bytes: Uint8Array | null
}

export class TopicAdmin {
  readonly #addon: Addon
  readonly #brokers: string
  readonly #topic: string
  readonly #admin: Admin

  static async open(brokers: string, topic: string): Promise<TopicAdmin> {
    return new TopicAdmin(await loadAddon(), brokers, topic)
  }

  private constructor(addon: Addon, brokers: string, topic: string) {
    this.#addon = addon
    this.#brokers = brokers
    this.#topic = topic
    this.#admin = addon.AdminClient.create(this.#settings(), {})
  }

  close(): void {
    this.#admin.disconnect()
  }

  /** `undefined` when there is none. */
  async describe(): Promise<TopicDescription | undefined> {
    const [found] = await promised<TopicDescription[]>((done) =>
      this.#admin.describeTopics([this.#topic], { timeout: answerMs }, done),
    )
    if (codeOf(found?.error ?? {}) === kafkaErrors.unknownTopic) return undefined
    if (found?.error) throw new Error(found.error.message)
    return found
  }

  async create(
    partitions: number,
    replication: number,
    config: Record<string, string> = {},
  ): Promise<void> {
    const wanted = {
      topic: this.#topic,
      num_partitions: partitions,
      replication_factor: replication,
      config,
    }
    await promised((done) => this.#admin.createTopic(wanted, answerMs, done))
  }

  /** Resolves once the brokers have forgotten it. */
  async delete(): Promise<void> {
    await promised((done) => this.#admin.deleteTopic(this.#topic, answerMs, done))
    while ((await this.describe()) !== undefined) await delay(50)
  }

  /** Deletes the records of a partition below `offset`. */
  async truncate(partition: number, offset: number): Promise<void> {
    const positions = [{ topic: this.#topic, partition, offset }]
    await promised((done) => this.#admin.deleteRecords(positions, { timeout: answerMs }, done))
  }

  /** Resolves when every partition has all its replicas in sync, and a leader. */
  async awaitInSync(timeoutMs: number): Promise<void> {
    const deadline = Date.now() + timeoutMs
    let last = 'no answer'
    while (Date.now() < deadline) {
      try {
        const found = await this.describe()
        const behind = found?.partitions.filter(
          ({ leader, isr, replicas }) => !leader || isr.length < replicas.length,
        )
        if (behind?.length === 0) return
        last = behind === undefined ? 'no such topic' : `${behind.length} partitions are behind`
      } catch (error) {
        last = String(error)
      }
      await delay(100)
    }
    throw new Error(`Topic ${this.#topic} is not in sync after ${timeoutMs} ms: ${last}.`)
  }

  /** Appends these as they are; resolves with their offsets, in their order. */
  async append(records: readonly RawRecord[]): Promise<number[]> {
    const producer = new this.#addon.Producer({
      ...this.#settings(),
      'enable.idempotence': true,
      dr_cb: true,
    })
    await connect(producer, this.#topic, answerMs)
    producer.setPollInBackground(true)
    try {
      return await Promise.all(delivered(producer, this.#topic, records))
    } finally {
      await promised((done) => producer.disconnect(answerMs, done))
    }
  }

  #settings(): ReturnType<typeof clientSettings> {
    const logger = pino({ level: 'silent' })
    return clientSettings({ brokers: this.#brokers, properties: {}, logger }, {}, {})
  }
}

/** One promise of an offset for each record. */
function delivered(
  producer: Producer,
  topic: string,
  records: readonly RawRecord[],
): Promise<number>[] {
  const waiting = new Map<number, { resolve(at: number): void; reject(error: Error): void }>()
  producer.on('delivery-report', (error: Error | null, report: DeliveryReport) => {
    const promise = waiting.get(report.key?.readUInt32LE(0) ?? -1)
    if (promise === undefined) return
    if (error) promise.reject(error)
    else promise.resolve(report.offset)
  })
  return records.map(({ partition, bytes }, number) => {
    const key = Buffer.alloc(4)
    key.writeUInt32LE(number)
    return new Promise<number>((resolve, reject) => {
      waiting.set(number, { resolve, reject })
      // The client takes null for a record without bytes, whatever the program's types of it say.
      producer.produce(topic, partition, bytes as Uint8Array, key, Date.now())
    })
  })
}
