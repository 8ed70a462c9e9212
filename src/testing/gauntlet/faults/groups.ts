// Members that join the consumer group and leave it, again and again: each time the partitions are
// shared out anew.
// In:  a scene on Kafka.
// Out: a fault. Healed, only the workers are members.
// Absent: members that work; these only hold what they are given.

import assert from 'node:assert/strict'
import { setTimeout as delay } from 'node:timers/promises'
import pino from 'pino'
import { createKafkaMembership } from '../../../log/kafka.ts'
import { Random } from '../../random.ts'
import type { Fault } from '../fault.ts'

const strangersMax = 4

export const groupFaults: readonly Fault[] = [
  {
    name: 'group-storm',
    kind: 'broker',
    what: 'Members that do no work join the consumer group and leave it, again and again.',
    logs: ['kafka'],
    holdMs: [1_000, 6_000],
    inject: (scene, random) => {
      assert(scene.brokers !== undefined, 'a scene on Kafka has brokers')
      const { bootstrap: brokers } = scene.brokers
      const { topic, group } = scene
      const logger = pino({ level: 'silent' })
      const over = new AbortController()
      let joined = 0
      const stranger = async (chances: Random): Promise<void> => {
        while (!over.signal.aborted) {
          const membership = createKafkaMembership({
            brokers,
            topic,
            group,
            properties: {},
            logger,
          })
          await membership.start(() => undefined)
          joined += 1
          const staysMs = chances.between(50, 1_500)
          await delay(staysMs, undefined, { signal: over.signal }).catch(() => undefined)
          await membership.stop()
        }
      }
      const count = random.between(1, strangersMax)
      const strangers = Array.from({ length: count }, () => stranger(new Random(random.uint32())))
      return Promise.resolve(async () => {
        over.abort()
        await Promise.all(strangers)
        scene.note(`group-storm: ${joined} times one of ${count} members joined and left`)
      })
    },
  },
]
