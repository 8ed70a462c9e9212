// The native Kafka client, seen through the few calls that are used, and loaded only when they are
// needed.
// In:  the package @confluentinc/kafka-javascript, which may not be installed.
// Out: its constructors; settings and event handling common to every connection; callbacks as
//      promises.
// Absent: what a connection is for (the other kafka-*.ts files).

import { LedgerError, messageOf } from '../errors.ts'
import type { Logger } from '../observe/logger.ts'

/** Where the brokers are, and how to be let in. */
export interface KafkaConnection {
  /** Comma list of `host:port`. */
  brokers: string
  /** Settings of librdkafka on top of ours: security, compression, timeouts. */
  properties: Readonly<Record<string, string>>
  logger: Logger
}

/**
 * Error codes of librdkafka that are reacted to; negative ones are its own, the others a broker's.
 */
export const kafkaErrors = {
  timedOut: -185,
  queueFull: -184,
  assignPartitions: -175,
  fatal: -150,
  noOffset: -140,
  truncated: -139,
  unknownTopic: 3,
  topicExists: 36,
} as const

export interface KafkaError extends Error {
  code: number
}

export interface DeliveryReport {
  partition: number
  /** Negative when the broker did not tell. */
  offset: number
  key: Buffer | null
}

export interface ConsumedRecord {
  partition: number
  offset: number
  timestamp: number
  /** `null` stands for no bytes at all. */
  value: Buffer | null
  leaderEpoch?: number
}

export interface TopicPartition {
  topic: string
  partition: number
  offset?: number
}

type Callback<T> = (error: KafkaError | null | undefined, result: T) => void

export interface Client {
  on(event: 'event.error', listener: (error: KafkaError) => void): this
  on(event: 'event.log', listener: (entry: LogEntry) => void): this
  on(event: 'event.stats', listener: (stats: { message: string }) => void): this
  connect(
    options: { topic?: string; allTopics: boolean; timeout: number },
    done: Callback<unknown>,
  ): this
  isConnected(): boolean
}

export interface Producer extends Client {
  on(
    event: 'delivery-report',
    listener: (error: KafkaError | null, report: DeliveryReport) => void,
  ): this
  on(event: 'event.error', listener: (error: KafkaError) => void): this
  on(event: 'event.log', listener: (entry: LogEntry) => void): this
  on(event: 'event.stats', listener: (stats: { message: string }) => void): this
  setPollInBackground(on: boolean): this
  produce(
    topic: string,
    partition: number,
    value: Uint8Array,
    key: Buffer,
    timestamp: number,
  ): boolean
  flush(timeout: number, done: Callback<undefined>): this
  disconnect(timeout: number, done: Callback<unknown>): this
}

export interface Consumer extends Client {
  on(event: 'offset.commit', listener: (error: KafkaError | null) => void): this
  on(event: 'event.error', listener: (error: KafkaError) => void): this
  on(event: 'event.log', listener: (entry: LogEntry) => void): this
  on(event: 'event.stats', listener: (stats: { message: string }) => void): this
  setDefaultConsumeTimeout(timeout: number): void
  consume(count: number, done: Callback<ConsumedRecord[]>): void
  assign(positions: TopicPartition[]): this
  pause(partitions: TopicPartition[]): unknown
  resume(partitions: TopicPartition[]): unknown
  seek(position: TopicPartition, timeout: number, done: Callback<undefined>): this
  subscribe(topics: string[]): this
  incrementalAssign(partitions: TopicPartition[]): this
  incrementalUnassign(partitions: TopicPartition[]): this
  assignmentLost(): boolean
  commit(positions: TopicPartition[]): this
  disconnect(done: Callback<unknown>): this
}

export interface TopicDescription {
  topicId: { base64: string }
  partitions: {
    partition: number
    leader: { id: number } | null
    isr: unknown[]
    replicas: unknown[]
  }[]
  error?: KafkaError
}

export interface ListedOffset {
  partition: number
  offset: number
  error?: KafkaError
}

export interface NewTopic {
  topic: string
  num_partitions: number
  replication_factor: number
  config: Record<string, string>
}

export interface Admin {
  getMetadata(
    options: { allTopics: boolean; timeout: number },
    done: Callback<{ brokers: unknown[] }>,
  ): void
  createTopic(topic: NewTopic, timeout: number, done: Callback<undefined>): void
  describeTopics(
    topics: string[],
    options: { timeout: number },
    done: Callback<TopicDescription[]>,
  ): void
  listOffsets(
    partitions: { topic: string; partition: number; offset: unknown }[],
    options: { timeout: number },
    done: Callback<ListedOffset[]>,
  ): void
  deleteRecords(
    positions: TopicPartition[],
    options: { timeout: number },
    done: Callback<unknown>,
  ): void
  deleteTopic(topic: string, timeout: number, done: Callback<undefined>): void
  listTopics(options: { timeout: number }, done: Callback<string[]>): void
  disconnect(): void
}

interface LogEntry {
  severity: number
  fac: string
  message: string
}

type Settings = Record<string, string | number | boolean | ((...told: never[]) => void)>

export interface Addon {
  Producer: new (settings: Settings) => Producer
  KafkaConsumer: new (settings: Settings) => Consumer
  AdminClient: {
    create(settings: Settings, events: Record<string, (value: never) => void>): Admin
  }
  OffsetSpec: { EARLIEST: unknown; LATEST: unknown }
  librdkafkaVersion: string
}

/** A name the compiler does not look up: the program is built and runs without the package. */
const packageName: string = '@confluentinc/kafka-javascript'

export async function loadAddon(): Promise<Addon> {
  try {
    const loaded = (await import(packageName)) as { default: Addon }
    return loaded.default
  } catch (cause) {
    if (cause instanceof LedgerError) throw cause
    const message = `Kafka needs the package ${packageName}, which is not installed or not built`
    const remedy = 'Run: npm run setup -- --kafka'
    const detail = messageOf(cause).split('\n')[0]
    throw new LedgerError('DEPENDENCY_MISSING', `${message} (${detail}). ${remedy}`, { cause })
  }
}

/** Settings every connection shares. What `fixed` demands, no property may change. */
export function clientSettings(
  connection: KafkaConnection,
  defaults: Settings,
  fixed: Settings,
): Settings {
  const always: Settings = {
    'bootstrap.servers': connection.brokers,
    'allow.auto.create.topics': false,
    ...fixed,
  }
  for (const [name, value] of Object.entries(connection.properties)) {
    const demanded = always[name]
    if (demanded === undefined || demanded.toString() === value) continue
    const found = `expected ${demanded.toString()}, found ${value}`
    throw new LedgerError('CONFIG_INVALID', `Kafka property ${name}: ${found}. Leave it out.`)
  }
  return {
    'client.id': 'transaction-ledger',
    'socket.keepalive.enable': true,
    'reconnect.backoff.ms': 100,
    'reconnect.backoff.max.ms': 2000,
    ...defaults,
    ...connection.properties,
    ...always,
  }
}

/** Makes a client; a property that librdkafka does not know is a fault of the configuration. */
export function create<T>(make: () => T): T {
  try {
    return make()
  } catch (cause) {
    throw new LedgerError('CONFIG_INVALID', `Kafka properties: ${messageOf(cause)}`, { cause })
  }
}

/**
 * Syslog severities: up to 4 asks for attention. Connections that come and go are many, and told of
 * as a whole by the log's health; properties that concern another kind of connection are no news.
 */
export function logEntry(logger: Logger, entry: LogEntry): void {
  const retried = entry.fac === 'GETPID' || (entry.fac === 'FAIL' && !isRefusal(entry.message))
  const ordinary = retried || entry.fac === 'CONFWARN'
  const level = ordinary || entry.severity > 4 ? 'debug' : 'warn'
  logger[level]({ facility: entry.fac }, `kafka: ${entry.message}`)
}

/** Whether a failed connection was refused for its credentials or certificate. */
function isRefusal(message: string): boolean {
  return /authentication|certificate|ssl handshake/i.test(message)
}

/** The promise of a call that ends by `done(error, result)`. */
export function promised<T>(call: (done: Callback<T>) => void): Promise<T> {
  return new Promise((resolve, reject) => {
    call((error, result) => {
      if (error) reject(error)
      else resolve(result)
    })
  })
}

export function codeOf(error: unknown): number | undefined {
  return (error as Partial<KafkaError>).code
}

/** Connects, or fails within `timeout` milliseconds. */
export async function connect(client: Client, topic: string, timeout: number): Promise<void> {
  await promised((done) => client.connect({ topic, allTopics: false, timeout }, done))
}
