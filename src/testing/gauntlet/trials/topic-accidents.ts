// What an administrator can do to a topic that costs records: the program must halt, say exactly
// what is missing, and touch nothing.
// In:  a scene on Kafka under load.
// Out: trials.
// Absent: how an administrator does it (testing/kafka-admin.ts).

import assert from 'node:assert/strict'
import { setTimeout as delay } from 'node:timers/promises'
import { partitionCount } from '../../../record/layout.ts'
import { readCheckpoints } from '../../checker-tables.ts'
import { TopicAdmin } from '../../kafka-admin.ts'
import { topicEnds } from '../../kafka-topic.ts'
import type { Member, Scene, Trial } from '../fault.ts'

const noticeMs = 30_000
const behindMs = 2_000
const lookMs = 100

async function withAdmin<T>(scene: Scene, use: (admin: TopicAdmin) => Promise<T>): Promise<T> {
  assert(scene.brokers !== undefined, 'a scene on Kafka has brokers')
  const admin = await TopicAdmin.open(scene.brokers.bootstrap, scene.topic)
  try {
    return await use(admin)
  } finally {
    admin.close()
  }
}

async function readiness({ program }: Member): Promise<{ status: number; text: string }> {
  const response = await fetch(`${program.url}/readyz`)
  return { status: response.status, text: await response.text() }
}

async function until<T>(what: string, look: () => Promise<T | string>): Promise<T> {
  const deadline = Date.now() + noticeMs
  for (;;) {
    const found = await look()
    if (typeof found !== 'string') return found
    if (Date.now() > deadline) throw new Error(`${what} not within ${noticeMs} ms: ${found}`)
    await delay(lookMs)
  }
}

function workersOf(scene: Scene): Member[] {
  return scene.members.filter(({ role }) => role === 'worker')
}

async function checkpoints(scene: Scene): Promise<Map<number, number>> {
  const rows = await readCheckpoints(scene.databaseUrl)
  return new Map(rows.map(({ partition, nextOffset }) => [partition, nextOffset]))
}

const recreated: Trial = {
  name: 'topic-recreated',
  kind: 'records',
  what: 'The topic is deleted and made anew: partitions halt, ingress refuses, both say why.',
  logs: ['kafka'],
  halts: true,
  run: async (scene) => {
    await withAdmin(scene, async (admin) => {
      await admin.delete()
      await admin.create(partitionCount, 3, { 'min.insync.replicas': '2' })
    })
    scene.note('the topic was deleted and made anew')
    for (const member of scene.members) {
      await until(`${member.name} says that the topic is another one`, async () => {
        const { status, text } = await readiness(member)
        return status === 503 && /made anew/.test(text) ? [text] : `${status} ${text}`
      })
      scene.note(`${member.name} says that the topic is another one`)
    }
    // What was on its way when the topic went may still come; nothing after that.
    const reached = await checkpoints(scene)
    for (const target of scene.targets()) {
      const { status, text } = await postOne(target)
      assert.equal(status, 503, text)
      assert.match(text, /made anew/)
    }
    await delay(behindMs)
    assert.deepEqual(await checkpoints(scene), reached, 'no checkpoint moves with another topic')
    for (const member of scene.members) {
      assert.equal(member.program.end, undefined, member.program.story())
    }
  },
}

async function postOne(target: string): Promise<{ status: number; text: string }> {
  const item = {
    id: crypto.randomUUID(),
    account_id: crypto.randomUUID(),
    amount: 1,
  }
  const response = await fetch(`${target}/v1/transactions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify([item]),
  })
  return { status: response.status, text: await response.text() }
}

const deleted: Trial = {
  name: 'records-deleted',
  kind: 'records',
  what: 'Records past a checkpoint are deleted: that partition halts and names them; no other.',
  logs: ['kafka'],
  halts: true,
  run: async (scene, random) => {
    assert(scene.brokers !== undefined, 'a scene on Kafka has brokers')
    const { database } = scene.links
    // Nothing is persisted meanwhile, so that there is something to delete past the checkpoint.
    database.set({ refuses: true })
    database.cut('reset')
    await delay(behindMs)
    for (const worker of workersOf(scene)) await worker.kill()
    const reached = await checkpoints(scene)
    const ends = await topicEnds(scene.brokers.bootstrap, scene.topic)
    const behind = [...ends].filter(([partition, end]) => end - (reached.get(partition) ?? 0) >= 2)
    const [victim, end] = random.pick(behind)
    const expected = reached.get(victim) ?? 0
    const first = random.between(expected + 1, end)
    await withAdmin(scene, (admin) => admin.truncate(victim, first))
    scene.note(`partition ${victim}: records ${expected} to ${first - 1} were deleted`)
    database.heal()
    for (const worker of workersOf(scene)) worker.start()
    await assertOneHalts(scene, victim, expected, first)
    await assertOthersGoOn(scene, victim, expected, ends)
  },
}

async function assertOneHalts(
  scene: Scene,
  victim: number,
  expected: number,
  first: number,
): Promise<void> {
  for (const worker of workersOf(scene)) await worker.ready(noticeMs).catch(() => undefined)
  const told = await until(`partition ${victim} halts`, async () => {
    const texts: string[] = []
    for (const worker of workersOf(scene)) {
      const { text } = await readiness(worker).catch((error: unknown) => ({ text: String(error) }))
      texts.push(text)
    }
    const halted = texts.flatMap((text) => [...text.matchAll(/partition (\d+) is halted: [^"]+/g)])
    return halted.length > 0 ? halted : texts.join(' | ')
  })
  assert.deepEqual([...new Set(told.map(([, partition]) => Number(partition)))], [victim])
  const [[sentence]] = told
  assert.match(sentence, new RegExp(`\\b${expected}\\b`), 'what is expected is said')
  assert.match(sentence, new RegExp(`\\b${first}\\b`), 'what is there is said')
  scene.note(`the program says: ${sentence}`)
}

async function assertOthersGoOn(
  scene: Scene,
  victim: number,
  expected: number,
  ends: ReadonlyMap<number, number>,
): Promise<void> {
  await until('the others are persisted', async () => {
    const now = await checkpoints(scene)
    assert.equal(now.get(victim), expected, 'the checkpoint of the halted partition stays')
    const late = [...ends].filter(([at, end]) => at !== victim && (now.get(at) ?? 0) < end)
    return late.length === 0 ? [] : `${late.length} partitions are behind`
  })
}

export const topicTrials: readonly Trial[] = [recreated, deleted]
