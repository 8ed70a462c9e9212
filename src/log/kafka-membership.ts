// Shares the partitions among the processes that live, through a consumer group that fetches
// nothing.
// In:  the group's rebalances.
// Out: the whole set of partitions of this process, each time it changes.
// Absent: records, offsets. The set is a hint; checkpoints decide.

// Each rebalance is acknowledged with an empty assignment: the group counts the partitions as ours,
// and the client, which was assigned none, fetches none. So the connection carries heartbeats only.

import { LedgerError, messageOf } from '../errors.ts'
import {
  type Addon,
  type Consumer,
  type KafkaConnection,
  type KafkaError,
  type TopicPartition,
  clientSettings,
  codeOf,
  connect,
  create,
  kafkaErrors,
  loadAddon,
  logEntry,
  promised,
} from './kafka-addon.ts'
import { backoff, within } from './kafka-time.ts'
import type { Membership } from './log.ts'

export interface KafkaMembershipOptions extends KafkaConnection {
  topic: string
  /**
   * Members meet in the group of this name with `.members` behind it; the plain name is for
   * published progress.
   */
  group: string
}

/**
 * A process that says nothing for so long is replaced; brokers permit no less unless configured to.
 */
const sessionMs = 6000
const heartbeatMs = 1500
const pollMs = 200
const connectMs = 5000
const leaveMs = 5000

export function createKafkaMembership(options: KafkaMembershipOptions): Membership {
  return new KafkaMembership(options)
}

class KafkaMembership implements Membership {
  private readonly options: KafkaMembershipOptions
  private readonly assigned = new Set<number>()
  /** What `onAssigned` was told last. */
  private told: string | undefined
  private consumer: Consumer | undefined
  private onAssigned: (partitions: readonly number[]) => void = () => {}
  private timer: NodeJS.Timeout | undefined
  private polling = false
  private stopped = false

  constructor(options: KafkaMembershipOptions) {
    this.options = options
  }

  async start(onAssigned: (partitions: readonly number[]) => void): Promise<void> {
    this.onAssigned = onAssigned
    const addon = await loadAddon()
    for (let attempt = 0; !this.stopped; attempt += 1) {
      const consumer = this.member(addon)
      try {
        await connect(consumer, this.options.topic, connectMs)
        this.consumer = consumer
        consumer.subscribe([this.options.topic])
        this.timer = setInterval(() => void this.poll(), pollMs)
        return
      } catch (error) {
        this.options.logger.warn(`kafka: the group cannot be joined: ${messageOf(error)}`)
        await backoff(attempt)
      }
    }
    throw new LedgerError('STOPPING', 'The membership was stopped.')
  }

  async stop(): Promise<void> {
    if (this.stopped) return
    this.stopped = true
    clearInterval(this.timer)
    const { consumer } = this
    if (consumer === undefined) return
    await within(
      leaveMs,
      promised((done) => consumer.disconnect(done)),
    )
  }

  private member(addon: Addon): Consumer {
    const { options } = this
    const fixed = {
      'group.id': `${options.group}.members`,
      'partition.assignment.strategy': 'cooperative-sticky',
      'session.timeout.ms': sessionMs,
      'heartbeat.interval.ms': heartbeatMs,
      // Liveness is the session; a poll that is late because the thread is busy means nothing.
      'max.poll.interval.ms': 86_400_000,
      'enable.auto.commit': false,
      rebalance_cb: (error: KafkaError | undefined, partitions: TopicPartition[]) =>
        this.rebalance(error, partitions),
      queue_non_empty_cb: () => void this.poll(),
    }
    const consumer = create(() => new addon.KafkaConsumer(clientSettings(options, {}, fixed)))
    consumer.setDefaultConsumeTimeout(0)
    return consumer.on('event.log', (entry) => logEntry(options.logger, entry))
  }

  private rebalance(error: KafkaError | undefined, partitions: TopicPartition[]): void {
    const { consumer } = this
    if (consumer === undefined) return
    const gained = codeOf(error ?? {}) === kafkaErrors.assignPartitions
    for (const { partition } of partitions) {
      if (gained) this.assigned.add(partition)
      else this.assigned.delete(partition)
    }
    this.tell()
    try {
      if (gained) consumer.incrementalAssign([])
      else consumer.incrementalUnassign([])
    } catch (cause) {
      this.options.logger.warn(`kafka: rebalance not acknowledged: ${messageOf(cause)}`)
    }
  }

  private tell(): void {
    const partitions = [...this.assigned].sort((a, b) => a - b)
    const known = partitions.join()
    if (this.stopped || known === this.told) return
    this.told = known
    this.onAssigned(partitions)
  }

  /**
   * Rebalances are handed out only to a consumer that asks for records, of which there are none.
   */
  private async poll(): Promise<void> {
    if (this.polling || this.stopped || this.consumer === undefined) return
    this.polling = true
    const { consumer } = this
    try {
      await promised((done) => consumer.consume(1, done))
    } catch (error) {
      this.options.logger.debug(`kafka: group: ${messageOf(error)}`)
    } finally {
      this.polling = false
    }
  }
}
