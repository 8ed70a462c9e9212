// What is under load: a program of our own with all it needs, fresh for each run, or any deployment
// that listens on a URL.
// In:  the program's command line and flags, or URLs.
// Out: where to send, where to look, which processes to weigh.
// Absent: the load.

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createLogger } from '../../dist/observe/logger.js'
import { freePort, stopPostmaster } from '../../dist/postgres/cluster.js'
import { startEmbeddedPostgres } from '../../dist/postgres/embedded.js'
import { cleanup } from './cleanup.mjs'
import { startProgram } from './program.mjs'

/**
 * @typedef {object} Deployment
 * @property {string[]} urls that take batches
 * @property {string[]} metricsUrls of all processes whose counters count
 * @property {string[]} databaseUrls none where they are not known
 * @property {boolean} isExclusive whether every row in the ledger must be ours
 * @property {{ program?: number, postgres: number[], broker?: number }} pids those on this machine
 * @property {string | undefined} dataDir
 * @property {() => Promise<void>} [kill] ends the program as kill -9 does
 * @property {() => Promise<void>} [restart] starts it again on the same data and address
 * @property {(flags: string[]) => Promise<void>} [restartWith] ends it the orderly way and starts it
 *   with other flags on the same data
 * @property {() => Promise<void>} stop ends it and removes its data
 */

/** @returns {Promise<Deployment>} */
export async function deploy({ options, programCommand, flags = [], databases = 1 }) {
  if (options.urls.length > 0) return external(options)
  const directory = mkdtempSync(join(options.directory ?? tmpdir(), 'ledger-bench-'))
  const removed = cleanup(() => rmSync(directory, { recursive: true, force: true }))
  const backing = []
  const stopBacking = cleanup(async () => {
    for (const each of backing.toReversed()) await each.stop()
  })
  const stopAll = async () => {
    await stopBacking()
    await removed()
  }
  try {
    const kafka = options.kafka ? await startBroker() : undefined
    if (kafka) backing.push({ stop: () => kafka.destroy() })
    const servers = []
    for (let i = 0; i < databases && (kafka || databases > 1); i++) {
      const server = await startServer(join(directory, `postgres-${i}`))
      servers.push(server)
      backing.push(server)
    }
    const command = options.profile ? profiled(programCommand) : programCommand
    const allFlags = [
      ...['--data-dir', join(directory, 'data')],
      ...(kafka ? ['--brokers', kafka.brokers] : []),
      ...(servers.length > 0 ? ['--database-url', servers.map(({ url }) => url).join(',')] : []),
    ]
    const own = new OwnProgram(command, allFlags, servers)
    const stopOwn = cleanup(() => own.stop())
    await own.start(flags)
    return own.describe({
      broker: kafka?.pid,
      dataDir: join(directory, 'data'),
      stop: async () => {
        await stopOwn()
        await stopAll()
      },
    })
  } catch (error) {
    await stopAll()
    throw error
  }
}

/** A PostgreSQL of our own with the settings that the program gives its own. */
export function startServer(directory) {
  return startEmbeddedPostgres({ directory, logger: createLogger('warn', 'json') })
}

async function startBroker() {
  const { startTestKafka } = await import('../../dist/testing/kafka.js')
  return startTestKafka({ optimised: true })
}

function profiled([file, ...args]) {
  if (args.length === 0) throw new Error('--profile: expected a program that Node runs from a file')
  return [file, '--cpu-prof', '--cpu-prof-dir=.', ...args]
}

function external({ urls, metricsUrls, databaseUrls }) {
  return {
    urls,
    metricsUrls: [...urls, ...metricsUrls],
    databaseUrls,
    isExclusive: false,
    pids: { postgres: [] },
    dataDir: undefined,
    stop: async () => undefined,
  }
}

class OwnProgram {
  #command
  #commonFlags
  #flags
  #servers
  #running
  #listen

  constructor(command, commonFlags, servers) {
    this.#command = command
    this.#commonFlags = commonFlags
    this.#servers = servers
  }

  async start(flags) {
    this.#flags = flags
    // No port that the kernel gives to clients: one of them would have it while the program is dead.
    this.#listen ??= `127.0.0.1:${await freePort()}`
    this.#running = await startProgram(this.#command, [...this.#commonFlags, ...flags], {
      listen: this.#listen,
    })
  }

  describe({ broker, dataDir, stop }) {
    const current = () => this.#running
    const servers = this.#servers
    const { url } = current()
    return {
      urls: [url],
      metricsUrls: [url],
      get databaseUrls() {
        if (servers.length > 0) return servers.map((server) => server.url)
        // A program without workers has none.
        return [current().databaseUrl].filter((each) => each)
      },
      isExclusive: true,
      get pids() {
        const { pid, postgresPid } = current()
        const own = [postgresPid].filter((each) => each !== undefined)
        const postgres = servers.length > 0 ? servers.map((server) => server.pid) : own
        return { program: pid, postgres, broker }
      },
      dataDir,
      kill: () => this.#running.kill(),
      restart: () => this.start(this.#flags),
      restartWith: async (flags) => {
        await this.#running.stop()
        await this.start(flags)
      },
      stop,
    }
  }

  async stop() {
    if (this.#running === undefined) return
    const { isRunning, postgresPid } = this.#running
    if (isRunning) await this.#running.stop()
    // A killed program leaves its database running.
    else if (postgresPid !== undefined) await stopPostmaster(postgresPid)
  }
}
