// Brokers that die, freeze, restart, and hand over their partitions.
// In:  a scene on three brokers.
// Out: faults. Healed, every replica is in sync again.
// Absent: what happens to topics and records (trials/).

import { electLeaders } from '../../kafka-leaders.ts'
import type { Brokers, Fault, Scene } from '../fault.ts'

const logs = ['kafka'] as const
const kind = 'broker'

function brokersOf(scene: Scene): Brokers {
  if (scene.brokers === undefined) throw new Error('Expected a scene with brokers.')
  return scene.brokers
}

const killBroker: Fault = {
  name: 'kill-broker',
  kind,
  what: 'SIGKILL of one of three brokers; it is started again.',
  logs,
  holdMs: [0, 5_000],
  inject: async (scene, random) => {
    const brokers = brokersOf(scene)
    const at = random.below(brokers.count)
    await brokers.kill(at)
    scene.note(`kill-broker: broker ${at + 1}`)
    return async () => {
      await brokers.start(at)
      await brokers.awaitInSync(scene.topic)
    }
  },
}

const freezeBroker: Fault = {
  name: 'freeze-broker',
  kind,
  what: 'SIGSTOP, then SIGCONT, of one of three brokers: its connections stay open and silent.',
  logs,
  // It loses its partitions after 3 s.
  holdMs: [500, 8_000],
  inject: (scene, random) => {
    const brokers = brokersOf(scene)
    const at = random.below(brokers.count)
    brokers.freeze(at)
    scene.note(`freeze-broker: broker ${at + 1}`)
    return Promise.resolve(async () => {
      brokers.thaw(at)
      await brokers.awaitInSync(scene.topic)
    })
  },
}

const rollingRestart: Fault = {
  name: 'rolling-restart',
  kind,
  what: 'One broker after the other ends in the orderly way and is started again.',
  logs,
  holdMs: [0, 0],
  inject: async (scene, random) => {
    const brokers = brokersOf(scene)
    const first = random.below(brokers.count)
    for (let i = 0; i < brokers.count; i++) {
      const at = (first + i) % brokers.count
      await brokers.stop(at)
      await brokers.start(at)
      await brokers.awaitInSync(scene.topic)
      scene.note(`rolling-restart: broker ${at + 1} is back`)
    }
    return () => Promise.resolve()
  },
}

const electOthers: Fault = {
  name: 'elect-leaders',
  kind,
  what: 'Every partition gets another preferred leader, and elects it.',
  logs,
  holdMs: [0, 1_000],
  inject: async (scene, random) => {
    const brokers = brokersOf(scene)
    const turn = random.between(1, brokers.count - 1)
    const moved = await electLeaders(brokers.bootstrap, scene.topic, turn)
    scene.note(`elect-leaders: ${moved} partitions have another leader`)
    return () => brokers.awaitInSync(scene.topic)
  },
}

export const brokerFaults: readonly Fault[] = [
  killBroker,
  freezeBroker,
  rollingRestart,
  electOthers,
]
