// Processes that live share the partitions, on a real broker.

import assert from 'node:assert/strict'
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { dirname, join } from 'node:path'
import { after, before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { createKafkaMembership } from './kafka.ts'
import { KafkaTrial, until } from '../testing/kafka-trial.ts'

const partitions = 128
const program = join(dirname(fileURLToPath(import.meta.url)), '..', 'testing', 'kafka-member.js')

let trial: KafkaTrial

before(async () => {
  trial = await KafkaTrial.start()
})

after(() => trial.end())

/** A member in its own process, and the set it was told last. */
class Member {
  partitions: number[] = []
  readonly topic: string
  readonly process: ChildProcess

  constructor(topic: string) {
    this.topic = topic
    const options = { brokers: trial.kafka.brokers, topic, group: topic }
    this.process = fork(program, [JSON.stringify(options)])
    this.process.on('message', (told) => (this.partitions = told as number[]))
  }

  async kill(): Promise<void> {
    this.partitions = []
    if (this.process.exitCode !== null || this.process.signalCode !== null) return
    const ended = once(this.process, 'exit')
    this.process.kill('SIGKILL')
    await ended
  }
}

/** Whether the members have every partition between them, none twice, and about as many each. */
function share(members: Member[]): boolean {
  const all = members.flatMap((member) => member.partitions)
  const even = members.every((each) => each.partitions.length >= partitions / members.length - 1)
  return even && all.length === partitions && new Set(all).size === partitions
}

async function shared(members: Member[]): Promise<void> {
  await until(() => share(members))
}

async function within(seconds: number, work: () => Promise<void>): Promise<void> {
  const started = Date.now()
  await work()
  const took = (Date.now() - started) / 1000
  assert(took <= seconds, `took ${took} s, expected at most ${seconds}`)
}

async function withMembers(
  count: number,
  body: (members: Member[]) => Promise<void>,
): Promise<void> {
  const topic = trial.topic()
  await trial.createTopic(topic, partitions)
  const members = Array.from({ length: count }, () => new Member(topic))
  try {
    await shared(members)
    await body(members)
  } finally {
    await Promise.all(members.map((member) => member.kill()))
  }
}

test('members have each partition once, also when a third joins and one is killed', async () => {
  await withMembers(2, async (members) => {
    const [first, second] = members as [Member, Member]
    const third = new Member(first.topic)
    members.push(third)
    await shared(members)
    await first.kill()
    members.shift()
    await within(10, () => shared([second, third]))
  })
})

test('a member that leaves is replaced at once', async () => {
  await withMembers(2, async ([first, second]) => {
    assert(first !== undefined && second !== undefined)
    first.process.send('leave')
    await within(5, () => shared([second]))
    first.partitions = []
  })
})

test('a member that was frozen loses its partitions and gets a share again', async () => {
  await withMembers(2, async ([first, second]) => {
    assert(first !== undefined && second !== undefined)
    first.process.kill('SIGSTOP')
    await within(10, () => shared([second]))
    first.process.kill('SIGCONT')
    await shared([first, second])
  })
})

test('members share again after the broker was killed', async () => {
  await withMembers(2, async (members) => {
    await trial.kafka.kill()
    // Each notices by itself that nobody confirms its share any more.
    await until(() => members.every((member) => member.partitions.length === 0))
    await trial.kafka.start()
    await shared(members)
  })
})

test('a membership stopped before it was started never starts', async () => {
  const options = trial.options()
  await trial.createTopic(options.topic, partitions)
  const membership = createKafkaMembership(options)
  await membership.stop()
  await assert.rejects(
    membership.start(() => {}),
    { code: 'STOPPING' },
  )
})
