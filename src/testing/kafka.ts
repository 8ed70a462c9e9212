// A real Apache Kafka broker for tests: one KRaft node on free loopback ports, with its data in a
// temporary directory.
// In:  scripts/pom.xml, `mvn` and `java` on the path.
// Out: where it listens, and the means to stop, kill, freeze and start it again.
// Absent: anything the program itself uses; several brokers (kafka-cluster.ts).

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Broker, freePorts } from './kafka-broker.ts'
import { brokerLibraries } from './kafka-libraries.ts'

export interface TestKafkaOptions {
  /** Broker settings on top of those below. */
  properties?: Record<string, string>
  /**
   * Name and password; each may log in on `saslBrokers` with PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512.
   */
  users?: Record<string, string>
  /** Let the JVM optimise as it would in production; tests prefer a quick start. */
  optimised?: boolean
}

export interface TestKafka {
  /** `host:port` without authentication. */
  readonly brokers: string
  /** `host:port` that asks for SASL; only with `users`. */
  readonly saslBrokers: string
  readonly pid: number
  /** Where its partitions are; to be touched only while it is stopped. */
  readonly data: string
  /** Starts it again on the same ports and data, and waits until it listens. */
  start(): Promise<void>
  /** Ends it the orderly way. */
  stop(): Promise<void>
  /** Ends it as kill -9 does. */
  kill(): Promise<void>
  /** Freezes it: connections stay open, nothing is answered. */
  freeze(): void
  thaw(): void
  /** Ends it and removes its data. */
  destroy(): Promise<void>
}

export async function startTestKafka(options: TestKafkaOptions = {}): Promise<TestKafka> {
  const libraries = await brokerLibraries()
  const directory = await mkdtemp(join(tmpdir(), 'ledger-kafka-'))
  const ports = await freePorts(3)
  const broker = new SingleBroker(libraries, directory, ports, options)
  try {
    await broker.prepare()
    await broker.start()
  } catch (error) {
    await broker.destroy()
    throw error
  }
  return broker
}

class SingleBroker extends Broker implements TestKafka {
  readonly brokers: string
  readonly saslBrokers: string
  readonly #directory: string

  constructor(libraries: string, directory: string, ports: number[], options: TestKafkaOptions) {
    const [port = 0] = ports
    super({
      libraries,
      directory,
      port,
      settings: settingsOf(ports, options),
      format: scramUsers(options.users ?? {}),
      heapMegabytes: 512,
      optimised: options.optimised === true,
    })
    this.#directory = directory
    this.brokers = `127.0.0.1:${port}`
    this.saslBrokers = `127.0.0.1:${ports[2]}`
  }

  async destroy(): Promise<void> {
    await this.kill()
    await rm(this.#directory, { recursive: true, force: true })
  }
}

function scramUsers(users: Readonly<Record<string, string>>): string[] {
  return Object.entries(users).flatMap(([name, password]) =>
    ['SCRAM-SHA-256', 'SCRAM-SHA-512'].flatMap((mechanism) => [
      '--add-scram',
      `${mechanism}=[name=${name},password=${password}]`,
    ]),
  )
}

function settingsOf(ports: readonly number[], options: TestKafkaOptions): Record<string, string> {
  const [port, controllerPort, saslPort] = ports
  const users = Object.entries(options.users ?? {})
  const sasl = users.length > 0 ? `,SASL_PLAINTEXT://127.0.0.1:${saslPort}` : ''
  const protocols = 'PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SASL_PLAINTEXT:SASL_PLAINTEXT'
  const plain = 'listener.name.sasl_plaintext.plain.sasl.jaas.config'
  const login = users.map(([name, password]) => `user_${name}="${password}"`).join(' ')
  const scram = 'org.apache.kafka.common.security.scram.ScramLoginModule required;'
  return {
    'process.roles': 'broker,controller',
    'node.id': '1',
    'controller.quorum.voters': `1@127.0.0.1:${controllerPort}`,
    'controller.listener.names': 'CONTROLLER',
    listeners: `PLAINTEXT://127.0.0.1:${port},CONTROLLER://127.0.0.1:${controllerPort}${sasl}`,
    'advertised.listeners': `PLAINTEXT://127.0.0.1:${port}${sasl}`,
    'listener.security.protocol.map': protocols,
    'inter.broker.listener.name': 'PLAINTEXT',
    'auto.create.topics.enable': 'false',
    'offsets.topic.num.partitions': '1',
    'offsets.topic.replication.factor': '1',
    'transaction.state.log.num.partitions': '1',
    'transaction.state.log.replication.factor': '1',
    'transaction.state.log.min.isr': '1',
    'group.initial.rebalance.delay.ms': '0',
    // A restart is not held up by the registration of the process that was killed.
    'broker.session.timeout.ms': '3000',
    'broker.heartbeat.interval.ms': '500',
    'controlled.shutdown.enable': 'false',
    ...(users.length > 0 && {
      'sasl.enabled.mechanisms': 'PLAIN,SCRAM-SHA-256,SCRAM-SHA-512',
      [plain]: `org.apache.kafka.common.security.plain.PlainLoginModule required ${login};`,
      'listener.name.sasl_plaintext.scram-sha-256.sasl.jaas.config': scram,
      'listener.name.sasl_plaintext.scram-sha-512.sasl.jaas.config': scram,
    }),
    ...options.properties,
  }
}
