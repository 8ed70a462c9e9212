// Networks that cut, delay, halve, swallow, crawl and refuse, between any two of clients, program,
// PostgreSQL and brokers.
// In:  a scene with a proxy on every way.
// Out: faults; where each strikes is drawn.
// Absent: how a proxy does it (testing/proxy/).

import { setTimeout as delay } from 'node:timers/promises'
import type { Conditions, Direction } from '../../proxy/conditions.ts'
import type { Proxy } from '../../proxy/proxy.ts'
import type { Random } from '../../random.ts'
import type { Fault, Scene } from '../fault.ts'

/** A way through the scene, and one of the proxies on it, or all. */
interface Place {
  name: string
  proxies: readonly Proxy[]
}

const directions: readonly Direction[] = ['requests', 'replies']
const logs = ['embedded', 'kafka'] as const
const kind = 'network'
/** Something passes on every way every few milliseconds; this is for the quiet ones. */
const strikeMsMax = 2_000

function placesOf(scene: Scene): Place[] {
  const places: Place[] = [
    { name: 'clients → program', proxies: scene.links.clients },
    { name: 'program → PostgreSQL', proxies: [scene.links.database] },
  ]
  if (scene.brokers !== undefined) {
    places.push({ name: 'program → brokers', proxies: scene.brokers.links })
    places.push({ name: 'brokers → brokers', proxies: scene.brokers.fellowLinks })
  }
  return places
}

function drawPlace(scene: Scene, random: Random): Place {
  const { name, proxies } = random.pick(placesOf(scene))
  // Of several, as often one alone as all of them.
  if (proxies.length === 1 || random.chance(0.5)) return { name, proxies }
  const at = random.below(proxies.length)
  return { name: `${name} (${at + 1} of ${proxies.length})`, proxies: [proxies[at]] }
}

function heals({ proxies }: Place): () => Promise<void> {
  return () => {
    for (const proxy of proxies) proxy.heal()
    return Promise.resolve()
  }
}

/** Conditions that hold for a while. */
function lasting(
  name: string,
  what: string,
  holdMs: Fault['holdMs'],
  draw: (random: Random) => Partial<Conditions>,
): Fault {
  return {
    name,
    kind,
    what,
    logs,
    holdMs,
    inject: (scene, random) => {
      const place = drawPlace(scene, random)
      const conditions = draw(random)
      scene.note(`${name}: ${place.name}: ${JSON.stringify(conditions)}`)
      for (const proxy of place.proxies) {
        proxy.set(conditions)
        if (conditions.refuses === true) proxy.cut('reset')
      }
      return Promise.resolve(heals(place))
    },
  }
}

const cut: Fault = {
  name: 'cut-connections',
  kind,
  what: 'Every open connection on a way ends at once, by RST or by FIN.',
  logs,
  holdMs: [0, 300],
  inject: (scene, random) => {
    const place = drawPlace(scene, random)
    const how = random.pick(['reset', 'finish'] as const)
    const count = place.proxies.reduce((sum, proxy) => sum + proxy.cut(how), 0)
    scene.note(`cut-connections: ${place.name}: ${count} by ${how}`)
    return Promise.resolve(heals(place))
  },
}

const halve: Fault = {
  name: 'halve-messages',
  kind,
  what: 'Of the next messages on a way only the first half arrives, and the connection is reset.',
  logs,
  holdMs: [0, 500],
  inject: async (scene, random) => {
    const place = drawPlace(scene, random)
    const direction = random.pick(directions)
    const times = random.between(1, 4)
    scene.note(`halve-messages: ${place.name}: ${times} of the ${direction}`)
    const halved = place.proxies.flatMap((proxy) =>
      Array.from({ length: times }, () => proxy.halve(direction)),
    )
    await Promise.race([Promise.all(halved), delay(strikeMsMax)])
    return heals(place)
  },
}

/** Which sessions commit entries; those of readers commit as well, and have nothing in doubt. */
const worker = /^ledger worker/

const dropCommitReplies: Fault = {
  name: 'drop-commit-reply',
  kind,
  what: 'COMMITs of workers pass, their replies do not, and the connections are reset.',
  logs,
  holdMs: [0, 1_500],
  weight: 2,
  inject: async (scene) => {
    const { database } = scene.links
    let holds = true
    let committed = 0
    const dropOne = async (): Promise<void> => {
      const { tag } = await database.dropCommitReply(worker)
      if (tag === 'COMMIT') committed += 1
    }
    const first = dropOne()
    const dropping = async (): Promise<void> => {
      await first
      while (holds) await dropOne()
    }
    void dropping()
    await Promise.race([first, delay(strikeMsMax)])
    return () => {
      holds = false
      database.heal()
      scene.note(`drop-commit-reply: ${committed} committed without their client knowing`)
      return Promise.resolve()
    }
  },
}

export const networkFaults: readonly Fault[] = [
  cut,
  halve,
  dropCommitReplies,
  lasting('delay-network', 'Everything on a way comes late.', [500, 3_000], (random) => ({
    delayMs: random.between(20, 500),
  })),
  lasting(
    'swallow-direction',
    'On a way nothing arrives in one direction, while the other works.',
    [500, 8_000],
    (random) => ({ swallows: [random.pick(directions)] }),
  ),
  lasting('swallow-all', 'On a way nothing arrives at all.', [500, 8_000], () => ({
    swallows: directions,
  })),
  lasting('throttle-network', 'A way passes few bytes a second.', [500, 4_000], (random) => ({
    bytesPerSecond: random.between(20, 500) * 1000,
  })),
  lasting(
    'refuse-connections',
    'A way is cut, and takes no new connections.',
    [200, 4_000],
    () => ({
      refuses: true,
    }),
  ),
]
