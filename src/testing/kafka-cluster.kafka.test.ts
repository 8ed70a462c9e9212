// Three brokers of which any one may be missing.

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { TopicAdmin } from './kafka-admin.ts'
import { startTestCluster, type TestCluster } from './kafka-cluster.ts'
import { electLeaders } from './kafka-leaders.ts'
import { topicEnds } from './kafka-topic.ts'

let cluster: TestCluster
let admin: TopicAdmin
const partitions = 6
const appended: number[] = []

before(async () => {
  cluster = await startTestCluster({ isProxied: true })
  admin = await TopicAdmin.open(cluster.brokers, 'three')
  await admin.create(partitions, 3)
  await admin.awaitInSync(30_000)
})

after(async () => {
  admin.close()
  await cluster.destroy()
})

/** One record in every partition. */
async function append(): Promise<void> {
  const records = Array.from({ length: partitions }, (_, partition) => ({
    partition,
    bytes: Buffer.from(`${partition}`),
  }))
  appended.push(...(await admin.append(records)))
}

test('every partition has three replicas, and leaders are spread', async () => {
  const found = await admin.describe()
  assert.equal(found?.partitions.length, partitions)
  assert(found.partitions.every(({ replicas }) => replicas.length === 3))
  assert.equal(new Set(found.partitions.map(({ leader }) => leader?.id)).size, 3)
  await append()
})

test('clients go through the proxies unless they are told the direct addresses', async () => {
  const through = cluster.nodes.map(({ clientProxy }) => clientProxy?.connections ?? 0)
  assert(through.some((connections) => connections > 0))
  for (const { clientProxy } of cluster.nodes) {
    clientProxy?.set({ refuses: true })
    clientProxy?.cut('reset')
  }
  const ends = await topicEnds(cluster.direct, 'three')
  assert.deepEqual(
    [...ends.values()],
    Array.from({ length: partitions }, () => 1),
  )
  for (const { clientProxy } of cluster.nodes) clientProxy?.heal()
  await append()
})

test('every partition gets another leader', async () => {
  assert.equal(await electLeaders(cluster.direct, 'three', 1), partitions)
  assert.equal(await electLeaders(cluster.direct, 'three', 0), 0)
  await append()
})

test('records are taken while a broker is frozen, and while one is dead', async () => {
  const [first, second] = cluster.nodes
  first?.broker.freeze()
  await append()
  first?.broker.thaw()
  await admin.awaitInSync(60_000)
  await second?.broker.kill()
  await append()
  assert.equal(appended.length, partitions * 5)
})
