// A real Apache Kafka of three brokers: each record on all of them, and two that must have it.
// In:  scripts/pom.xml, `mvn` and `java` on the path.
// Out: brokers to kill, freeze, stop and start one by one; a proxy before each, if wanted.
// Absent: topics and records (kafka-admin.ts).

import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Broker, freePorts } from './kafka-broker.ts'
import { brokerLibraries } from './kafka-libraries.ts'
import { Proxy } from './proxy/proxy.ts'

export interface TestClusterOptions {
  brokers?: number
  /** A proxy before each broker, for clients and for its fellows. */
  isProxied?: boolean
  /** Broker settings on top of those below. */
  properties?: Readonly<Record<string, string>>
  heapMegabytes?: number
}

export interface ClusterNode {
  /** As brokers know each other: 1, 2, 3. */
  readonly id: number
  readonly broker: Broker
  /** Where clients connect: `host:port`, of the proxy if there is one. */
  readonly address: string
  /** Between clients and this broker. */
  readonly clientProxy: Proxy | undefined
  /** Between the other brokers and this one. */
  readonly fellowProxy: Proxy | undefined
}

export interface TestCluster {
  /** Comma list of `host:port`, through the proxies if there are any. */
  readonly brokers: string
  /** The same past them. */
  readonly direct: string
  readonly nodes: readonly ClusterNode[]
  /** Ends all brokers and removes their data. */
  destroy(): Promise<void>
}

interface NodePorts {
  client: number
  /** For clients that are not proxied. */
  direct: number
  fellow: number
  controller: number
}

export async function startTestCluster(options: TestClusterOptions = {}): Promise<TestCluster> {
  const count = options.brokers ?? 3
  const libraries = await brokerLibraries()
  const directory = await mkdtemp(join(tmpdir(), 'ledger-kafka-'))
  const ports = await freePorts(count * 4)
  const nodesPorts = Array.from({ length: count }, (_, at) => {
    const [client = 0, direct = 0, fellow = 0, controller = 0] = ports.slice(at * 4)
    return { client, direct, fellow, controller }
  })
  const nodes = await Promise.all(
    nodesPorts.map((_, at) => makeNode(at, nodesPorts, options, { libraries, directory })),
  )
  const destroy = async (): Promise<void> => {
    await Promise.all(
      nodes.map(async ({ broker, clientProxy, fellowProxy }) => {
        await broker.kill()
        await Promise.all([clientProxy?.close(), fellowProxy?.close()])
      }),
    )
    await rm(directory, { recursive: true, force: true })
  }
  try {
    await Promise.all(nodes.map(({ broker }) => broker.prepare()))
    await Promise.all(nodes.map(({ broker }) => broker.start()))
  } catch (error) {
    await destroy()
    throw error
  }
  const direct = nodesPorts.map((own) => `127.0.0.1:${own.direct}`).join()
  return { brokers: nodes.map(({ address }) => address).join(), direct, nodes, destroy }
}

async function makeNode(
  at: number,
  nodesPorts: readonly NodePorts[],
  options: TestClusterOptions,
  place: { libraries: string; directory: string },
): Promise<ClusterNode> {
  const ports = nodesPorts[at]
  const id = at + 1
  const directory = join(place.directory, `node-${id}`)
  await mkdir(directory)
  const proxied = options.isProxied === true
  const clientProxy = proxied ? await Proxy.start({ port: ports.client }) : undefined
  const fellowProxy = proxied ? await Proxy.start({ port: ports.fellow }) : undefined
  const advertised = {
    client: clientProxy?.port ?? ports.client,
    fellow: fellowProxy?.port ?? ports.fellow,
  }
  const broker = new Broker({
    libraries: place.libraries,
    directory,
    port: ports.client,
    settings: {
      ...nodeSettings(id, ports, advertised, nodesPorts),
      ...clusterSettings(nodesPorts.length),
      ...options.properties,
    },
    heapMegabytes: options.heapMegabytes ?? 256,
    optimised: false,
  })
  return { id, broker, address: `127.0.0.1:${advertised.client}`, clientProxy, fellowProxy }
}

function nodeSettings(
  id: number,
  ports: NodePorts,
  advertised: { client: number; fellow: number },
  all: readonly NodePorts[],
): Record<string, string> {
  const local = '127.0.0.1'
  const listeners = [
    `PLAINTEXT://${local}:${ports.client}`,
    `DIRECT://${local}:${ports.direct}`,
    `FELLOW://${local}:${ports.fellow}`,
    `CONTROLLER://${local}:${ports.controller}`,
  ]
  const told = [
    `PLAINTEXT://${local}:${advertised.client}`,
    `DIRECT://${local}:${ports.direct}`,
    `FELLOW://${local}:${advertised.fellow}`,
  ]
  const plaintext = ['PLAINTEXT', 'DIRECT', 'FELLOW', 'CONTROLLER']
  return {
    'process.roles': 'broker,controller',
    'node.id': String(id),
    'controller.quorum.voters': all
      .map(({ controller }, at) => `${at + 1}@${local}:${controller}`)
      .join(),
    'controller.listener.names': 'CONTROLLER',
    listeners: listeners.join(),
    'advertised.listeners': told.join(),
    'listener.security.protocol.map': plaintext.map((name) => `${name}:PLAINTEXT`).join(),
    'inter.broker.listener.name': 'FELLOW',
  }
}

function clusterSettings(brokers: number): Record<string, string> {
  const insync = String(Math.max(1, brokers - 1))
  return {
    'auto.create.topics.enable': 'false',
    'default.replication.factor': String(brokers),
    'min.insync.replicas': insync,
    'offsets.topic.num.partitions': '1',
    'offsets.topic.replication.factor': String(brokers),
    'transaction.state.log.num.partitions': '1',
    'transaction.state.log.replication.factor': String(brokers),
    'transaction.state.log.min.isr': insync,
    'group.initial.rebalance.delay.ms': '0',
    // A broker that says nothing for so long is no leader any more; three times the default pace,
    // so that faults need not last half a minute to be felt.
    'broker.session.timeout.ms': '3000',
    'broker.heartbeat.interval.ms': '500',
    'replica.lag.time.max.ms': '10000',
    // Heaps are small, and three brokers share the machine with what they serve.
    'log.cleaner.dedupe.buffer.size': '10485760',
    'num.network.threads': '2',
    'num.io.threads': '4',
  }
}
