// A topic is created as it should be, or judged, on a real broker.

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { LedgerError } from '../errors.ts'
import { promised } from './kafka-addon.ts'
import { type KafkaLogOptions, openKafkaLog } from './kafka.ts'
import { KafkaTrial, collectingLogger, until } from '../testing/kafka-trial.ts'
import { topicSettings } from './kafka-wire.ts'

const users = { alice: 'alice-secret', bob: 'bob-secret' }

let trial: KafkaTrial

before(async () => {
  // The topic must never come into being by itself, with whatever settings the brokers default to.
  trial = await KafkaTrial.start({ users, properties: { 'auto.create.topics.enable': 'true' } })
})

after(() => trial.end())

async function refused(
  options: KafkaLogOptions,
  code: LedgerError['code'],
  message: RegExp,
): Promise<void> {
  await assert.rejects(openKafkaLog(options), (error) => {
    assert(error instanceof LedgerError, String(error))
    assert.equal(error.code, code)
    assert.match(error.message, message)
    return true
  })
}

/** Opens a log on a topic that exists with these settings, and returns what was logged. */
async function warnings(config: Record<string, string>): Promise<string[]> {
  const { logger, lines } = collectingLogger()
  const options = trial.options({ logger })
  await trial.createTopic(options.topic, 8, config)
  const log = await openKafkaLog(options)
  await log.close()
  return lines.flatMap(({ level, msg }) => (level === 40 ? [String(msg)] : []))
}

async function refusedTopic(config: Record<string, string>, message: RegExp): Promise<void> {
  const options = trial.options()
  await trial.createTopic(options.topic, 8, config)
  await refused(options, 'TOPIC_UNSUITABLE', message)
}

test('a topic that is absent is created with 128 partitions and safe settings', async () => {
  const { partitions: _, ...options } = trial.options()
  const log = await openKafkaLog(options)
  const all = Array.from({ length: 128 }, (_each, partition) => partition)
  assert.equal((await log.ranges(all)).size, 128)
  await assert.rejects(log.ranges([128]))
  await log.close()
  const settings = await topicSettings(trial.kafka.brokers, {}, options.topic, 5000)
  assert.equal(settings.get('unclean.leader.election.enable'), 'false')
  assert.equal(settings.get('cleanup.policy'), 'delete')
  assert.equal(settings.get('min.insync.replicas'), '1')
  assert(Number(settings.get('max.message.bytes')) > 1024 * 1024)
})

test('processes that create the topic at once open the same log', async () => {
  const options = trial.options()
  const logs = await Promise.all([1, 2, 3].map(() => openKafkaLog(options)))
  assert.equal(new Set(logs.map(({ identity }) => identity)).size, 1)
  const offsets = await Promise.all(logs.map((log) => log.append(0, Buffer.from('one'))))
  assert.deepEqual(offsets.toSorted(), [0, 1, 2])
  await Promise.all(logs.map((log) => log.close()))
})

test('another partition count is refused, naming what was expected and found', async () => {
  const options = trial.options()
  await trial.createTopic(options.topic, 5)
  await refused(options, 'PARTITION_COUNT_CHANGED', /expected 8 partitions, found 5/)
})

test('a topic whose leader may be elected uncleanly is refused', async () => {
  const config = { 'unclean.leader.election.enable': 'true' }
  await refusedTopic(config, /unclean\.leader\.election\.enable false .*found true/)
})

test('a compacted topic is refused', async () => {
  await refusedTopic({ 'cleanup.policy': 'compact' }, /cleanup\.policy delete .*found compact/)
  await refusedTopic({ 'cleanup.policy': 'compact,delete' }, /cleanup\.policy delete/)
})

test('a topic too small for a slab is refused', async () => {
  await refusedTopic(
    { 'max.message.bytes': '60000' },
    /max\.message\.bytes at least .* found 60000/,
  )
})

test('a topic that can never have its in-sync replicas is refused', async () => {
  await refusedTopic({ 'min.insync.replicas': '2' }, /min\.insync\.replicas at most .* found 2/)
})

test('a short or bounded retention is warned of by name, a long one is not', async () => {
  assert.match((await warnings({ 'retention.ms': '3600000' })).join(), /retention\.ms of topic/)
  assert.match((await warnings({ 'retention.bytes': '1000000' })).join(), /retention\.bytes of/)
  assert.doesNotMatch((await warnings({ 'retention.ms': '604800000' })).join(), /retention/)
})

test('logins by PLAIN and SCRAM open the log and judge the topic', async () => {
  for (const mechanism of ['PLAIN', 'SCRAM-SHA-256', 'SCRAM-SHA-512']) {
    for (const [name, password] of Object.entries(users)) {
      const { logger, lines } = collectingLogger()
      const log = await openKafkaLog(login(mechanism, name, password, { logger }))
      await log.append(0, Buffer.from(name))
      await log.close()
      const unread = lines.filter(({ msg }) => /could not be read/.test(String(msg)))
      assert.deepEqual(unread, [])
    }
  }
})

test('a wrong password is a fault of the configuration', async () => {
  for (const mechanism of ['PLAIN', 'SCRAM-SHA-256']) {
    const options = login(mechanism, 'alice', 'wrong')
    await refused(options, 'CONFIG_INVALID', /refuses the login.*authentication/i)
  }
})

function login(
  mechanism: string,
  name: string,
  password: string,
  changes: Partial<KafkaLogOptions> = {},
): KafkaLogOptions {
  const properties = {
    'security.protocol': 'sasl_plaintext',
    'sasl.mechanism': mechanism,
    'sasl.username': name,
    'sasl.password': password,
  }
  return trial.options({ brokers: trial.kafka.saslBrokers, properties, ...changes })
}

test('a property that is unknown, or would break a promise, is refused by name', async () => {
  const unknown = trial.options({ properties: { 'no.such.thing': '1' } })
  await refused(unknown, 'CONFIG_INVALID', /no\.such\.thing/)
  const weak = trial.options({ properties: { 'enable.idempotence': 'false' } })
  await refused(weak, 'CONFIG_INVALID', /enable\.idempotence: expected true, found false/)
})

test('progress is published as committed offsets of the group, and survives closing', async () => {
  const options = trial.options()
  const log = await openKafkaLog(options)
  await log.append(3, Buffer.from('one'))
  await log.release(new Map([[3, 1]]))
  await log.close()
  interface GroupAdmin {
    listConsumerGroupOffsets(
      groups: { groupId: string }[],
      options: { timeout: number },
      done: (
        error: null,
        result: { partitions: { partition: number; offset: number }[] }[],
      ) => void,
    ): void
  }
  const admin = trial.admin as unknown as GroupAdmin
  const groups = [{ groupId: options.group }]
  await until(async () => {
    const [group] = await promised<{ partitions: { partition: number; offset: number }[] }[]>(
      (done) => admin.listConsumerGroupOffsets(groups, { timeout: 5000 }, done),
    )
    const committed = group?.partitions.find(({ partition }) => partition === 3)
    return committed?.offset === 1
  })
})
