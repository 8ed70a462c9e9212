// One process of a real Apache Kafka: a KRaft node that is broker and controller, on loopback.
// In:  jars (kafka-libraries.ts), a directory, ports, settings; `java` on the path.
// Out: the means to start, stop, kill, freeze and start it again.
// Absent: which nodes make up a cluster (kafka.ts, kafka-cluster.ts).

import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile, writeFile } from 'node:fs/promises'
import { connect, createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { promisify } from 'node:util'

const run = promisify(execFile)

/** A KRaft cluster id is 16 bytes in URL-safe base64; any will do. */
const clusterId = 'TGVkZ2VyVGVzdEJyb2tlcg'

export interface BrokerOptions {
  /** Of the jars. */
  libraries: string
  /** Exists, and is this broker's alone. */
  directory: string
  /** Where clients connect; it is up once this listens. */
  port: number
  /** server.properties without `log.dirs`. */
  settings: Readonly<Record<string, string>>
  /** Further arguments for formatting the data directory. */
  format?: readonly string[]
  heapMegabytes: number
  /** Let the JVM optimise as it would in production; tests prefer a quick start. */
  optimised: boolean
}

export class Broker {
  readonly #options: BrokerOptions
  #process: ChildProcess | undefined
  #watchdog: ChildProcess | undefined

  constructor(options: BrokerOptions) {
    this.#options = options
  }

  get pid(): number {
    return this.#process?.pid ?? 0
  }

  get isRunning(): boolean {
    return this.#process !== undefined && !hasEnded(this.#process)
  }

  /** Where its partitions are; to be touched only while it is stopped. */
  get data(): string {
    return this.#file('data')
  }

  /** Writes the settings and formats the data directory. */
  async prepare(): Promise<void> {
    const settings = { ...this.#options.settings, 'log.dirs': this.data }
    const lines = Object.entries(settings).map(([name, value]) => `${name}=${value}\n`)
    await writeFile(this.#file('server.properties'), lines.join(''))
    await writeFile(this.#file('log4j2.properties'), quietLog)
    const format = ['format', '-t', clusterId, '-c', this.#file('server.properties')]
    const rest = [...format, ...(this.#options.format ?? [])]
    await run('java', this.#java('kafka.tools.StorageTool', rest))
  }

  /** Starts it, again on the same ports and data, and waits until it listens. */
  async start(): Promise<void> {
    const command = this.#java('kafka.Kafka', [this.#file('server.properties')])
    const child = spawn('java', command, { stdio: ['ignore', 'ignore', 'inherit'] })
    this.#process = child
    await once(child, 'spawn')
    this.#watch(child)
    while (!(await listens(this.#options.port))) {
      if (hasEnded(child)) {
        const log = await readFile(this.#file('broker.log'), 'utf8').catch(() => '')
        throw new Error(`The broker ended at start.\n${log.slice(-4000)}`)
      }
      await delay(50)
    }
  }

  /** Ends it the orderly way. */
  async stop(): Promise<void> {
    await this.#end('SIGTERM')
  }

  /** Ends it as kill -9 does. */
  async kill(): Promise<void> {
    await this.#end('SIGKILL')
  }

  /** Freezes it: connections stay open, nothing is answered. */
  freeze(): void {
    this.#process?.kill('SIGSTOP')
  }

  thaw(): void {
    this.#process?.kill('SIGCONT')
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const child = this.#process
    if (child === undefined || hasEnded(child)) return
    const ended = once(child, 'exit')
    child.ref()
    child.kill(signal)
    await ended
    this.#watchdog?.kill('SIGKILL')
    this.#watchdog = undefined
  }

  /**
   * The broker must not outlive the test, however the test ends. A shell waits on a pipe that only
   * this process holds; the pipe closes when the process dies, be it by SIGKILL, and the shell then
   * ends the broker.
   */
  #watch(child: ChildProcess): void {
    const script = 'cat >/dev/null; kill -9 "$1" 2>/dev/null; rm -rf -- "$2"'
    const { directory } = this.#options
    const watchdog = spawn('sh', ['-c', script, 'sh', String(child.pid), directory], {
      stdio: ['pipe', 'ignore', 'ignore'],
      detached: true,
    })
    watchdog.unref()
    child.unref()
    this.#watchdog = watchdog
  }

  #file(name: string): string {
    return join(this.#options.directory, name)
  }

  #java(main: string, rest: readonly string[]): string[] {
    const { libraries, heapMegabytes, optimised } = this.#options
    const quick = ['-XX:TieredStopAtLevel=1', '-XX:+UseSerialGC']
    return [
      `-Xmx${heapMegabytes}m`,
      ...(optimised ? [] : quick),
      `-Dlog4j2.configurationFile=${this.#file('log4j2.properties')}`,
      `-Dledger.log=${this.#file('broker.log')}`,
      '-cp',
      join(libraries, '*'),
      main,
      ...rest,
    ]
  }
}

/** Ports nobody listens on; all are held at once so that they differ. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer().listen(0, '127.0.0.1'))
  await Promise.all(servers.map((server) => once(server, 'listening')))
  const ports = servers.map((server) => (server.address() as { port: number }).port)
  await Promise.all(servers.map((server) => once(server.close(), 'close')))
  return ports
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
