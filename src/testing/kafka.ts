// A real Apache Kafka broker for tests: one KRaft node on free loopback ports, with its data in a
// temporary directory.
// In:  scripts/pom.xml, `mvn` and `java` on the path.
// Out: where it listens, and the means to stop, kill, freeze and start it again.
// Absent: anything the program itself uses.

import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

const run = promisify(execFile)

const project = join(dirname(fileURLToPath(import.meta.url)), '..', '..')
const pom = join(project, 'scripts', 'pom.xml')
const cache = join(project, 'node_modules', '.cache', 'kafka')
/** A KRaft cluster id is 16 bytes in URL-safe base64; any will do. */
const clusterId = 'TGVkZ2VyVGVzdEJyb2tlcg'

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
  const broker = new Broker(libraries, directory, ports, options)
  try {
    await broker.prepare()
    await broker.start()
  } catch (error) {
    await broker.destroy()
    throw error
  }
  return broker
}

/**
 * The directory with the broker's jars, downloaded once per clone even when several processes ask
 * at the same time.
 */
async function brokerLibraries(): Promise<string> {
  const version = /<artifactId>kafka_[^]*?<version>(.*?)<\/version>/.exec(
    await readFile(pom, 'utf8'),
  )?.[1]
  const libraries = join(cache, `libs-${version}`)
  await mkdir(cache, { recursive: true })
  while (!existsSync(libraries)) {
    if (!(await takeLock())) {
      await delay(200)
      continue
    }
    try {
      if (!existsSync(libraries)) await download(libraries)
    } finally {
      await rm(lock, { recursive: true, force: true })
    }
  }
  return libraries
}

const lock = join(cache, 'lock')

/** A directory is made by one process only; a lock whose owner is gone is taken away. */
async function takeLock(): Promise<boolean> {
  try {
    await mkdir(lock)
    await writeFile(join(lock, 'pid'), String(process.pid))
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
  }
  const owner = Number(await readFile(join(lock, 'pid'), 'utf8').catch(() => '0'))
  if (owner > 0 && !existsSync(`/proc/${owner}`)) await rm(lock, { recursive: true, force: true })
  return false
}

async function download(target: string): Promise<void> {
  const partial = `${target}.partial`
  await rm(partial, { recursive: true, force: true })
  const goal = ['dependency:copy-dependencies', `-DoutputDirectory=${partial}`]
  await run('mvn', ['-q', '-B', '-f', pom, ...goal])
  await rename(partial, target)
}

/** Ports nobody listens on; all are held at once so that they differ. */
async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer().listen(0, '127.0.0.1'))
  await Promise.all(servers.map((server) => once(server, 'listening')))
  const ports = servers.map((server) => (server.address() as { port: number }).port)
  await Promise.all(servers.map((server) => once(server.close(), 'close')))
  return ports
}

class Broker implements TestKafka {
  readonly brokers: string
  readonly saslBrokers: string
  private readonly libraries: string
  private readonly directory: string
  private readonly ports: number[]
  private readonly options: TestKafkaOptions
  private process: ChildProcess | undefined
  private watchdog: ChildProcess | undefined

  constructor(libraries: string, directory: string, ports: number[], options: TestKafkaOptions) {
    this.libraries = libraries
    this.directory = directory
    this.ports = ports
    this.options = options
    this.brokers = `127.0.0.1:${ports[0]}`
    this.saslBrokers = `127.0.0.1:${ports[2]}`
  }

  get pid(): number {
    return this.process?.pid ?? 0
  }

  get data(): string {
    return this.file('data')
  }

  /** Writes the settings and formats the data directory. */
  async prepare(): Promise<void> {
    const settings = this.settings()
    const lines = Object.entries(settings).map(([name, value]) => `${name}=${value}\n`)
    await writeFile(this.file('server.properties'), lines.join(''))
    await writeFile(this.file('log4j2.properties'), quietLog)
    const users = Object.entries(this.options.users ?? {}).flatMap(([name, password]) =>
      ['SCRAM-SHA-256', 'SCRAM-SHA-512'].flatMap((mechanism) => [
        '--add-scram',
        `${mechanism}=[name=${name},password=${password}]`,
      ]),
    )
    const format = ['format', '-t', clusterId, '-c', this.file('server.properties'), ...users]
    await run('java', this.java('kafka.tools.StorageTool', format))
  }

  async start(): Promise<void> {
    const command = this.java('kafka.Kafka', [this.file('server.properties')])
    const child = spawn('java', command, { stdio: ['ignore', 'ignore', 'inherit'] })
    this.process = child
    await once(child, 'spawn')
    this.watch(child)
    while (!(await listens(this.ports[0] ?? 0))) {
      if (hasEnded(child)) {
        const log = await readFile(this.file('broker.log'), 'utf8').catch(() => '')
        throw new Error(`The broker ended at start.\n${log.slice(-4000)}`)
      }
      await delay(50)
    }
  }

  async stop(): Promise<void> {
    await this.end('SIGTERM')
  }

  async kill(): Promise<void> {
    await this.end('SIGKILL')
  }

  freeze(): void {
    this.process?.kill('SIGSTOP')
  }

  thaw(): void {
    this.process?.kill('SIGCONT')
  }

  async destroy(): Promise<void> {
    await this.kill()
    await rm(this.directory, { recursive: true, force: true })
  }

  private async end(signal: NodeJS.Signals): Promise<void> {
    const child = this.process
    if (child === undefined || hasEnded(child)) return
    const ended = once(child, 'exit')
    child.ref()
    child.kill(signal)
    await ended
    this.watchdog?.kill('SIGKILL')
    this.watchdog = undefined
  }

  /**
   * The broker must not outlive the test, however the test ends. A shell waits on a pipe that only
   * this process holds; the pipe closes when the process dies, be it by SIGKILL, and the shell then
   * ends the broker.
   */
  private watch(child: ChildProcess): void {
    const script = 'cat >/dev/null; kill -9 "$1" 2>/dev/null; rm -rf -- "$2"'
    const watchdog = spawn('sh', ['-c', script, 'sh', String(child.pid), this.directory], {
      stdio: ['pipe', 'ignore', 'ignore'],
      detached: true,
    })
    watchdog.unref()
    child.unref()
    this.watchdog = watchdog
  }

  private file(name: string): string {
    return join(this.directory, name)
  }

  private java(main: string, rest: string[]): string[] {
    const quick = ['-XX:TieredStopAtLevel=1', '-XX:+UseSerialGC']
    return [
      '-Xmx512m',
      ...(this.options.optimised === true ? [] : quick),
      `-Dlog4j2.configurationFile=${this.file('log4j2.properties')}`,
      `-Dledger.log=${this.file('broker.log')}`,
      '-cp',
      join(this.libraries, '*'),
      main,
      ...rest,
    ]
  }

  private settings(): Record<string, string> {
    const [port, controllerPort, saslPort] = this.ports
    const users = Object.entries(this.options.users ?? {})
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
      'log.dirs': this.data,
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
      ...this.options.properties,
    }
  }
}

/** Warnings go to a file, which is shown if the broker does not start. */
const quietLog = `
appender.file.type = File
appender.file.name = file
appender.file.fileName = \${sys:ledger.log}
appender.file.layout.type = PatternLayout
appender.file.layout.pattern = %d %p %m (%c)%n
rootLogger.level = WARN
rootLogger.appenderRef.file.ref = file
`

function hasEnded(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null
}

async function listens(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1')
  try {
    await once(socket, 'connect')
    return true
  } catch {
    return false
  } finally {
    socket.destroy()
  }
}
