// Appends: one idempotent producer, replaced when it can go on no more.
// In:  record bytes for a partition.
// Out: the offset, from the delivery report of that very record.
// Absent: the topic's settings, reading.

// Reports of one partition come in order only as long as nothing fails: a record that times out in
// the queue is reported before an older one in flight. So each record carries a number as its key,
// which its report brings back. (The client offers to carry an object to the report instead, which
// has been known to lose memory.)

import assert from 'node:assert/strict'
import { LedgerError, messageOf } from '../errors.ts'
import { inflightBytesMax, recordBytesMax } from '../limits.ts'
import type { KafkaHealth } from './kafka-health.ts'
import {
  type Addon,
  type DeliveryReport,
  type KafkaConnection,
  type KafkaError,
  type Producer,
  clientSettings,
  codeOf,
  connect,
  create,
  kafkaErrors,
  logEntry,
  promised,
} from './kafka-addon.ts'
import { backoff, within } from './kafka-time.ts'
import type { Offset } from './log.ts'

export interface ProducerPlan {
  topic: string
  /** Largest batch of records the topic takes, in bytes. */
  batchBytesMax: number
}

interface Pending {
  partition: number
  resolve(offset: Offset): void
  reject(error: LedgerError): void
}

/** A native producer and what it has not reported yet. */
interface Generation {
  client: Producer
  pending: Map<number, Pending>
}

/** Batch and record headers around the largest record. */
const overheadBytes = 1024
/** The client's own default; a batch may exceed it by one record. */
const batchBytes = 1_000_000
const deliveryMs = 30_000
const connectMs = 5000
const closeMs = 10_000

export class KafkaProducer {
  private readonly addon: Addon
  private readonly connection: KafkaConnection
  private readonly plan: ProducerPlan
  private readonly health: KafkaHealth
  private current: Generation | undefined
  private number = 0
  private readonly key = Buffer.alloc(4)
  private stopping = false
  private drained: (() => void) | undefined

  constructor(addon: Addon, connection: KafkaConnection, plan: ProducerPlan, health: KafkaHealth) {
    this.addon = addon
    this.connection = connection
    this.plan = plan
    this.health = health
  }

  /** Connects, trying again for ever. */
  async open(): Promise<void> {
    for (let attempt = 0; !this.stopping; attempt += 1) {
      const generation: Generation = { client: this.client(), pending: new Map() }
      this.listen(generation)
      try {
        await connect(generation.client, this.plan.topic, connectMs)
        generation.client.setPollInBackground(true)
        this.current = generation
        return
      } catch (error) {
        this.health.failed(`The producer cannot connect: ${messageOf(error)}.`)
        await backoff(attempt)
      }
    }
  }

  append(partition: number, bytes: Uint8Array, timestamp = Date.now()): Promise<Offset> {
    assert(bytes.length <= recordBytesMax, 'a record of at most recordBytesMax')
    if (this.stopping) return refused('STOPPING', 'The log is being closed.')
    const generation = this.current
    if (generation === undefined) {
      return refused('LOG_UNAVAILABLE', this.health.unavailable() ?? 'Kafka is being reconnected.')
    }
    this.number = (this.number + 1) >>> 0
    this.key.writeUInt32LE(this.number)
    try {
      const { topic } = this.plan
      generation.client.produce(topic, partition, bytes, this.key, timestamp)
    } catch (error) {
      return this.notTaken(generation, partition, error)
    }
    return new Promise((resolve, reject) => {
      generation.pending.set(this.number, { partition, resolve, reject })
    })
  }

  /** Waits for reports of what is under way, for a bounded time. */
  async close(): Promise<void> {
    if (this.stopping) return
    this.stopping = true
    const generation = this.current
    this.current = undefined
    if (generation === undefined) return
    const { client, pending } = generation
    await within(
      closeMs,
      promised((done) => client.flush(closeMs, done)),
    )
    // The reports of what was flushed are on their way to this thread.
    if (pending.size > 0) {
      await within(1000, new Promise<void>((resolve) => (this.drained = resolve)))
    }
    await this.dispose(generation, 'the log was closed before the brokers answered')
  }

  private client(): Producer {
    const { batchBytesMax } = this.plan
    const defaults = {
      // Slabs are batches already.
      'linger.ms': 0,
      'message.timeout.ms': deliveryMs,
      'retry.backoff.ms': 50,
      'retry.backoff.max.ms': 1000,
    }
    const fixed = {
      'enable.idempotence': true,
      'queue.buffering.max.kbytes': inflightBytesMax / 1024,
      'message.max.bytes': recordBytesMax + overheadBytes,
      'batch.size': Math.min(batchBytes, batchBytesMax),
      dr_cb: true,
    }
    const settings = clientSettings(this.connection, defaults, fixed)
    return create(() => new this.addon.Producer(settings))
  }

  private listen(generation: Generation): void {
    const { logger } = this.connection
    generation.client
      .on('event.log', (entry) => logEntry(logger, entry))
      .on('event.error', (error) => this.heard(generation, error))
      .on('delivery-report', (error, report) => this.settle(generation, error, report))
  }

  private heard(generation: Generation, error: KafkaError): void {
    if (/fatal error/i.test(error.message)) this.replace(generation, error.message)
    else if (/all broker connections are down/i.test(error.message)) {
      this.health.failed(`No Kafka broker can be reached at ${this.connection.brokers}.`)
    }
  }

  private settle(generation: Generation, error: KafkaError | null, report: DeliveryReport): void {
    const number = report.key?.readUInt32LE(0) ?? -1
    const pending = generation.pending.get(number)
    if (pending === undefined) return
    generation.pending.delete(number)
    // A broker that knows the record already may confirm it without telling where it is.
    if (!error && report.offset >= 0) {
      this.health.delivered()
      pending.resolve(report.offset)
    } else {
      const why = error ? error.message : 'confirmed without its offset'
      this.fail(pending, why, error)
      if (codeOf(error ?? {}) === kafkaErrors.fatal) this.replace(generation, why)
    }
    if (generation.pending.size === 0) this.drained?.()
  }

  private fail(pending: Pending, why: string, cause?: unknown): void {
    const where = `Partition ${pending.partition} of topic ${this.plan.topic}`
    const reason = `${where}: the append is not confirmed, and possibly taken: ${why}.`
    this.health.failed(reason)
    pending.reject(new LedgerError('LOG_UNAVAILABLE', reason, { cause }))
  }

  /** `produce` threw: the record is not in the client's queue. */
  private notTaken(generation: Generation, partition: number, error: unknown): Promise<Offset> {
    const code = codeOf(error)
    const where = `Partition ${partition} of topic ${this.plan.topic}`
    if (code === kafkaErrors.queueFull) {
      const limit = `${inflightBytesMax / 1024 / 1024} MiB wait for the brokers already`
      return refused('LOG_FULL', `${where}: not taken, ${limit}.`)
    }
    if (code === kafkaErrors.fatal) this.replace(generation, messageOf(error))
    return refused('LOG_UNAVAILABLE', `${where}: not taken: ${messageOf(error)}.`, error)
  }

  /**
   * After a fatal error a producer takes nothing more; what it had not reported is possibly taken.
   */
  private replace(generation: Generation, why: string): void {
    if (this.current !== generation || this.stopping) return
    this.current = undefined
    this.connection.logger.warn(`kafka: the producer is replaced: ${why}`)
    void this.dispose(generation, why)
    void this.open()
  }

  private async dispose({ client, pending }: Generation, why: string): Promise<void> {
    const left = [...pending.values()]
    pending.clear()
    for (const each of left) this.fail(each, why)
    await within(
      closeMs,
      promised((done) => client.disconnect(0, done)),
    )
  }
}

function refused(
  code: 'STOPPING' | 'LOG_FULL' | 'LOG_UNAVAILABLE',
  message: string,
  cause?: unknown,
): Promise<never> {
  return Promise.reject(new LedgerError(code, message, { cause }))
}
