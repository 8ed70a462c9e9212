// The topic: created if absent, and judged if not ours.
// In:  a name, a partition count, a replication factor.
// Out: the topic's id and size; LedgerError for settings that would lose money.
// Absent: records, and changing a topic that exists.

import { setTimeout as delay } from 'node:timers/promises'
import { LedgerError, messageOf } from '../errors.ts'
import { recordBytesMax, slabBytes } from '../limits.ts'
import type { KafkaAdmin, TopicState } from './kafka-admin.ts'
import { codeOf, kafkaErrors, type KafkaConnection } from './kafka-addon.ts'
import { topicSettings } from './kafka-wire.ts'

export interface TopicPlan {
  topic: string
  partitions: number
  /** How many brokers hold each record; unless given, three or as many brokers as there are. */
  replicationFactor?: number
  /** A topic that does not exist is not created. */
  mustExist?: boolean
}

export interface JudgedTopic extends TopicState {
  /** Largest batch of records the topic takes, in bytes. */
  batchBytesMax: number
  /** In-sync replicas an append needs. */
  minInsyncReplicas: number
}

/** What surrounds a record's bytes on its way: batch header, record header, key. Generous. */
const recordOverheadBytes = 1024
const hourMs = 3_600_000
const retentionMsShort = 24 * hourMs
const answerMs = 5000
const retryMsMax = 5000

/**
 * Finds the topic, or creates it. Waits for brokers for ever; rejects with TOPIC_UNSUITABLE,
 * PARTITION_COUNT_CHANGED or CONFIG_INVALID for what waiting does not cure.
 */
export async function ensureTopic(
  admin: KafkaAdmin,
  connection: KafkaConnection,
  plan: TopicPlan,
): Promise<JudgedTopic> {
  for (let attempt = 0; ; attempt += 1) {
    try {
      const described = await admin.describe()
      if (described === undefined && plan.mustExist) {
        const message = `--topic: expected a topic that exists, found no ${plan.topic}.`
        throw new LedgerError('CONFIG_INVALID', message)
      }
      const found = described ?? (await createTopic(admin, connection, plan))
      if (found !== undefined) return await judge(found, connection, plan)
    } catch (error) {
      if (error instanceof LedgerError) throw error
      if (admin.refusal !== undefined) throw admin.refusal
      const { brokers, logger } = connection
      logger.warn({ brokers }, `kafka: no answer yet, trying again: ${messageOf(error)}`)
    }
    await delay(Math.min(200 * 2 ** attempt, retryMsMax))
  }
}

/**
 * Creates the topic and describes it; `undefined` until every partition of it is known to the
 * brokers.
 */
async function createTopic(
  admin: KafkaAdmin,
  { logger }: KafkaConnection,
  plan: TopicPlan,
): Promise<TopicState | undefined> {
  const replication = plan.replicationFactor ?? Math.min(3, await admin.countBrokers())
  const config = {
    'min.insync.replicas': replication >= 3 ? '2' : '1',
    'unclean.leader.election.enable': 'false',
    'cleanup.policy': 'delete',
    'max.message.bytes': String(recordBytesMax + recordOverheadBytes),
  }
  try {
    await admin.createTopic(plan.partitions, replication, config)
  } catch (error) {
    // Another process was faster.
    if (codeOf(error) === kafkaErrors.topicExists) return undefined
    if (admin.refusal === undefined && !isTransient(error)) {
      const message = `Topic ${plan.topic} cannot be created: ${messageOf(error)}`
      throw new LedgerError('TOPIC_UNSUITABLE', message, { cause: error })
    }
    throw error
  }
  const { topic, partitions } = plan
  logger.info(
    { topic, partitions, replication, ...config },
    'kafka: topic created; its retention is the default of the brokers',
  )
  const state = await admin.describe()
  return state?.partitions === partitions && state.leaderless.length === 0 ? state : undefined
}

/** What brokers answer to a request they will never grant; all else may pass. */
const permanentErrors = [17, 29, 31, 37, 38, 39, 40, 42, 44]

function isTransient(error: unknown): boolean {
  return !permanentErrors.includes(codeOf(error) ?? 0)
}

async function judge(
  state: TopicState,
  connection: KafkaConnection,
  plan: TopicPlan,
): Promise<JudgedTopic> {
  const { topic } = plan
  expectPartitions(topic, plan.partitions, state.partitions)
  if (state.id === undefined) {
    const why = 'a topic made anew under its name could not be told from it'
    const remedy = 'use brokers that give topics an id (Kafka 2.8 or later)'
    throw new LedgerError('TOPIC_UNSUITABLE', `Topic ${topic} has no id: ${why}; ${remedy}.`)
  }
  const { brokers, properties, logger } = connection
  try {
    const settings = await topicSettings(brokers, properties, topic, answerMs)
    judgeSettings(settings, state, connection, topic)
    const number = (name: string, otherwise: number): number =>
      Number(settings.get(name) ?? otherwise)
    return {
      ...state,
      batchBytesMax: number('max.message.bytes', recordBytesMax),
      minInsyncReplicas: number('min.insync.replicas', 1),
    }
  } catch (error) {
    if (error instanceof LedgerError) throw error
    const names =
      'cleanup.policy, unclean.leader.election.enable, min.insync.replicas, retention.ms'
    const remedy = `check ${names} with: kafka-configs --describe --topic ${topic}`
    logger.warn({ topic }, `kafka: settings could not be read (${messageOf(error)}); ${remedy}`)
    return { ...state, batchBytesMax: recordBytesMax, minInsyncReplicas: 1 }
  }
}

/** Refuses another number of partitions than the tables rely on. */
function expectPartitions(topic: string, expected: number, found: number): void {
  if (expected === found) return
  const message = `Topic ${topic}: expected ${expected} partitions, found ${found}.`
  throw new LedgerError('PARTITION_COUNT_CHANGED', message)
}

function judgeSettings(
  settings: ReadonlyMap<string, string>,
  state: TopicState,
  { logger }: KafkaConnection,
  topic: string,
): void {
  const refuse = (name: string, expected: string): never => {
    const found = settings.get(name) ?? ''
    const message = `Topic ${topic}: expected ${name} ${expected}, found ${found}.`
    throw new LedgerError('TOPIC_UNSUITABLE', message)
  }
  const warn = (name: string, why: string): void =>
    logger.warn({ topic, [name]: settings.get(name) }, `kafka: ${name} of topic ${topic}: ${why}`)

  if (settings.get('cleanup.policy')?.includes('compact')) {
    refuse('cleanup.policy', 'delete (compaction drops records)')
  }
  if (settings.get('unclean.leader.election.enable') === 'true') {
    refuse('unclean.leader.election.enable', 'false (an unclean leader drops acknowledged records)')
  }
  const batchBytes = Number(settings.get('max.message.bytes') ?? Infinity)
  if (batchBytes < slabBytes + recordOverheadBytes) {
    refuse('max.message.bytes', `at least ${slabBytes + recordOverheadBytes}`)
  }
  const insync = Number(settings.get('min.insync.replicas') ?? Infinity)
  if (state.replication >= 3 && insync < 2) {
    warn('min.insync.replicas', 'one broker may acknowledge alone and lose it; 2 is safe')
  }
  if (state.replication < insync) {
    refuse('min.insync.replicas', `at most the ${state.replication} replicas there are`)
  }
  const retentionMs = Number(settings.get('retention.ms') ?? -1)
  if (retentionMs >= 0 && retentionMs < retentionMsShort) {
    warn('retention.ms', 'records may go before PostgreSQL has them; give it days')
  }
  if (Number(settings.get('retention.bytes') ?? -1) >= 0) {
    warn('retention.bytes', 'a burst may push out records before PostgreSQL has them')
  }
}
