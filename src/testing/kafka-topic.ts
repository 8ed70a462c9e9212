// What a Kafka topic holds, read by a consumer of the tests' own.
// In:  brokers and a topic.
// Out: where each partition ends, and every record in order.
// Absent: the program's code; consumer groups.

import kafka, { type LibrdKafkaError, type Message } from '@confluentinc/kafka-javascript'
import type { SeenRecord } from './audit.ts'

type Consumer = InstanceType<typeof kafka.KafkaConsumer>

const answerMs = 10_000

/** Next offset of each partition. */
export async function topicEnds(brokers: string, topic: string): Promise<Map<number, number>> {
  return withConsumer(brokers, async (consumer) =>
    endsOf(consumer, topic, await partitions(consumer, topic)),
  )
}

/** Every record the topic holds now, partition by partition in order of their offsets. */
export async function topicRecords(brokers: string, topic: string): Promise<SeenRecord[]> {
  return withConsumer(brokers, async (consumer) => {
    const numbers = await partitions(consumer, topic)
    const ends = await endsOf(consumer, topic, numbers)
    const open = new Set(numbers.filter((partition) => (ends.get(partition) ?? 0) > 0))
    const records: SeenRecord[] = []
    consumer.assign([...open].map((partition) => ({ topic, partition, offset: 0 })))
    const deadline = Date.now() + 60_000
    while (open.size > 0) {
      if (Date.now() > deadline) throw new Error(`Partitions ${[...open].join()} do not end.`)
      for (const { partition, offset, value, timestamp } of await consume(consumer)) {
        if (value !== null)
          records.push({ partition, offset, bytes: value, timestamp: timestamp ?? 0 })
        if (offset + 1 >= (ends.get(partition) ?? 0)) open.delete(partition)
      }
    }
    return records
  })
}

async function withConsumer<T>(
  brokers: string,
  use: (consumer: Consumer) => Promise<T>,
): Promise<T> {
  const consumer = new kafka.KafkaConsumer(
    {
      'bootstrap.servers': brokers,
      'group.id': 'an-observer-that-commits-nothing',
      'enable.auto.commit': false,
    },
    { 'auto.offset.reset': 'error' },
  )
  await new Promise<void>((resolve, reject) => {
    consumer.connect({ timeout: answerMs }, (error) => {
      settle(error, () => resolve(), reject)
    })
  })
  try {
    return await use(consumer)
  } finally {
    await new Promise<void>((resolve) => consumer.disconnect(() => resolve()))
  }
}

function partitions(consumer: Consumer, topic: string): Promise<number[]> {
  return new Promise((resolve, reject) => {
    consumer.getMetadata({ topic, timeout: answerMs }, (error, metadata) => {
      const found = (): number[] =>
        metadata.topics.find(({ name }) => name === topic)?.partitions.map(({ id }) => id) ?? []
      settle(error, () => resolve(found()), reject)
    })
  })
}

async function endsOf(
  consumer: Consumer,
  topic: string,
  numbers: readonly number[],
): Promise<Map<number, number>> {
  const end = (partition: number): Promise<[number, number]> =>
    new Promise((resolve, reject) => {
      consumer.queryWatermarkOffsets(topic, partition, answerMs, (error, offsets) => {
        settle(error, () => resolve([partition, offsets.highOffset]), reject)
      })
    })
  return new Map(await Promise.all(numbers.map(end)))
}

function consume(consumer: Consumer): Promise<Message[]> {
  return new Promise((resolve, reject) => {
    consumer.consume(1000, (error, messages) => {
      settle(error, () => resolve(messages), reject)
    })
  })
}

/** The addon's types say that there always is an error; there is none when all went well. */
function settle(
  error: LibrdKafkaError | null | undefined,
  resolve: () => void,
  reject: (error: Error) => void,
): void {
  if (error) reject(new Error(error.message, { cause: error }))
  else resolve()
}
