// The three brokers of a scene, with a proxy before each.
// In:  settings.
// Out: brokers as faults know them.
// Absent: how a broker is run (kafka-broker.ts).

import { TopicAdmin } from '../kafka-admin.ts'
import { startTestCluster } from '../kafka-cluster.ts'
import type { Proxy } from '../proxy/proxy.ts'
import type { Brokers } from './fault.ts'

const inSyncMs = 60_000

export async function startBrokers(
  properties: Readonly<Record<string, string>> = {},
): Promise<Brokers> {
  const cluster = await startTestCluster({ isProxied: true, properties })
  const node = (at: number): (typeof cluster.nodes)[number] => {
    const found = cluster.nodes.at(at)
    if (found === undefined) throw new Error(`Expected a broker below 3, found ${at}.`)
    return found
  }
  const isProxy = (proxy: Proxy | undefined): proxy is Proxy => proxy !== undefined
  return {
    count: cluster.nodes.length,
    bootstrap: cluster.direct,
    proxied: cluster.brokers,
    links: cluster.nodes.map(({ clientProxy }) => clientProxy).filter(isProxy),
    fellowLinks: cluster.nodes.map(({ fellowProxy }) => fellowProxy).filter(isProxy),
    pid: (at) => node(at).broker.pid,
    freeze: (at) => node(at).broker.freeze(),
    thaw: (at) => node(at).broker.thaw(),
    kill: (at) => node(at).broker.kill(),
    stop: (at) => node(at).broker.stop(),
    start: (at) => node(at).broker.start(),
    async awaitInSync(topic, timeoutMs = inSyncMs) {
      const admin = await TopicAdmin.open(cluster.direct, topic)
      try {
        await admin.awaitInSync(timeoutMs)
      } finally {
        admin.close()
      }
    },
    destroy: () => cluster.destroy(),
  }
}
