// Bad records in the log, between good ones.
// In:  a scene.
// Out: faults. What must end in quarantine is told to the scene; nothing else may.
// Absent: what is wrong with them (testing/bad-records.ts).

import assert from 'node:assert/strict'
import { join } from 'node:path'
import { openEmbeddedLog } from '../../../log/embedded.ts'
import { partitionCount } from '../../../record/layout.ts'
import { badRecordKinds, makeBadRecord, type BadRecord } from '../../bad-records.ts'
import { TopicAdmin } from '../../kafka-admin.ts'
import type { Random } from '../../random.ts'
import type { Fault, Heal, Scene } from '../fault.ts'

const recordsMax = 12
const diskBytesMax = 2 ** 34

function draw(random: Random): BadRecord[] {
  return Array.from({ length: random.between(1, recordsMax) }, () =>
    makeBadRecord(random.pick(badRecordKinds), random.below(partitionCount), random),
  )
}

function tell(scene: Scene, records: readonly BadRecord[], offsets: readonly number[]): void {
  for (const [at, { kind, partition, isQuarantined }] of records.entries()) {
    const offset = offsets.at(at)
    assert(offset !== undefined, 'every record has an offset')
    if (isQuarantined) scene.injected.add(partition, offset, kind)
  }
  scene.note(`bad-records: ${records.map(({ kind, partition }) => `${kind} ${partition}`).join()}`)
}

/** A process of somebody else that appends to our topic. */
async function intoKafka(scene: Scene, random: Random): Promise<Heal> {
  assert(scene.brokers !== undefined, 'a scene on Kafka has brokers')
  const records = draw(random)
  const admin = await TopicAdmin.open(scene.brokers.bootstrap, scene.topic)
  try {
    tell(scene, records, await admin.append(records))
  } finally {
    admin.close()
  }
  return () => Promise.resolve()
}

/** Nobody else can write while the program has the log: it is killed, and finds them later. */
async function intoEmbedded(scene: Scene, random: Random): Promise<Heal> {
  const [member] = scene.members
  assert(member !== undefined, 'a scene has a program')
  await member.kill()
  const directory = join(scene.dataDirectory, 'log')
  const log = await openEmbeddedLog({ directory, diskBytesMax })
  try {
    const records = draw(random)
    const appends = records.map(({ partition, bytes }) => log.append(partition, bytes))
    tell(scene, records, await Promise.all(appends))
  } finally {
    await log.close()
  }
  return () => {
    member.start()
    return Promise.resolve()
  }
}

export const recordFaults: readonly Fault[] = [
  {
    name: 'bad-records',
    kind: 'records',
    what: 'Garbage, truncated, half bad, misrouted and empty records between the good ones.',
    logs: ['embedded', 'kafka'],
    holdMs: [0, 200],
    inject: (scene, random) =>
      scene.log === 'kafka' ? intoKafka(scene, random) : intoEmbedded(scene, random),
  },
]
