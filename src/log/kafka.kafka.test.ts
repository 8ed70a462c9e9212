// The log on Kafka keeps the promises of a log, on a real broker.

import { after, before } from 'node:test'
import pino from 'pino'
import { type TestKafka, startTestKafka } from '../testing/kafka.ts'
import { describeLog, type LogFixture } from './conformance.ts'
import { type Admin, loadAddon, promised } from './kafka-addon.ts'
import { openKafkaLog } from './kafka.ts'

let kafka: TestKafka
let admin: Admin
let topics = 0

before(async () => {
  kafka = await startTestKafka()
  const addon = await loadAddon()
  admin = addon.AdminClient.create({ 'bootstrap.servers': kafka.brokers }, {})
})

after(async () => {
  admin.disconnect()
  await kafka.destroy()
})

describeLog('Kafka', async (): Promise<LogFixture> => {
  topics += 1
  const topic = `ledger-${topics}`
  const logger = pino({ level: 'silent' })
  const timeout = 10_000
  const options = { topic, partitions: 16, group: topic, properties: {}, logger }
  const remove = async (): Promise<void> => {
    await promised((done) => admin.deleteTopic(topic, timeout, done))
    for (;;) {
      const left = await promised<string[]>((done) => admin.listTopics({ timeout }, done))
      if (!left.includes(topic)) return
    }
  }
  return {
    open: () => openKafkaLog({ brokers: kafka.brokers, ...options }),
    truncate: async (_log, partition, offset) => {
      const positions = [{ topic, partition, offset }]
      await promised((done) => admin.deleteRecords(positions, { timeout }, done))
    },
    recreate: remove,
    destroy: remove,
  }
})
