// A PostgreSQL that this program keeps for itself: created on first use, adopted when a killed
// program left it running, started again when it dies.
// In:  a directory of its own.
// Out: a URL that stays valid until stop().
// Absent: the ledger's tables, files and processes (cluster.ts).

import { readFile, stat, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { LedgerError, messageOf } from '../errors.ts'
import type { Logger } from '../observe/logger.ts'
import { withBackoff } from './backoff.ts'
import {
  clusterUrl,
  freePort,
  isAlive,
  livePostmaster,
  openCluster,
  removeDrafts,
  serverArgs,
  startPostmaster,
  stopPostmaster,
  type Cluster,
} from './cluster.ts'
import { connect, type Connection } from './connection.ts'
import { embeddedSettings } from './settings.ts'

export interface EmbeddedPostgresOptions {
  directory: string
  /** Added to, and stronger than, those of settings.ts. */
  settings?: Readonly<Record<string, string>>
  logger: Logger
  /** Ends the waiting while it starts. */
  signal?: AbortSignal
}

export interface EmbeddedPostgres {
  /** psql takes it as it is. */
  readonly url: string
  /** Of the postmaster, which changes when it had to be started again. */
  readonly pid: number
  stop(): Promise<void>
}

const logBytesMax = 32 * 1024 * 1024

/**
 * Resolves once it takes connections. Rejects with DATA_DIR_LOCKED when another process uses the
 * directory.
 *
 * Clients that are connected when the server dies see DATABASE_UNAVAILABLE, and reach it again
 * under the same URL.
 */
export async function startEmbeddedPostgres(
  options: EmbeddedPostgresOptions,
): Promise<EmbeddedPostgres> {
  const cluster = await openCluster(options.directory, { sync: true })
  const settings = { ...embeddedSettings(), ...options.settings }
  const server = new EmbeddedServer(cluster, settings, options.logger)
  await server.begin(options.signal)
  return {
    url: server.url,
    get pid() {
      return server.pid
    },
    stop: () => server.stop(),
  }
}

/** Of a server that runs in the directory now, whoever started it; `undefined` where none does. */
export async function runningEmbeddedUrl(directory: string): Promise<string | undefined> {
  const cluster = await openCluster(directory, { sync: true })
  const found = await livePostmaster(cluster)
  return found?.status === 'ready' ? clusterUrl(cluster, found.port, database) : undefined
}

class EmbeddedServer {
  pid = 0
  url = ''
  #port = 0
  #guard: Connection | undefined
  #watching: Promise<void> = Promise.resolve()
  #stopped: Promise<void> | undefined
  readonly #stopping = new AbortController()
  readonly #cluster: Cluster
  readonly #settings: Readonly<Record<string, string>>
  readonly #logger: Logger

  constructor(cluster: Cluster, settings: Readonly<Record<string, string>>, logger: Logger) {
    this.#cluster = cluster
    this.#settings = settings
    this.#logger = logger
  }

  async begin(signal?: AbortSignal): Promise<void> {
    this.#port = await freePort(await this.#lastPort())
    if (!(await this.#adopt())) await this.#start(signal)
    await this.#takeLock()
    // From here on the server is ours.
    try {
      await removeDrafts(this.#cluster)
      await writeFile(join(this.#cluster.directory, 'port'), `${this.#port}\n`)
      await this.#createDatabase()
    } catch (error) {
      await this.stop()
      throw error
    }
    this.url = this.#urlOf(database)
    this.#watching = this.#watch()
  }

  stop(): Promise<void> {
    this.#stopped ??= this.#stop()
    return this.#stopped
  }

  async #stop(): Promise<void> {
    this.#stopping.abort()
    await this.#watching
    await this.#guard?.close()
    await stopPostmaster(this.pid)
  }

  /**
   * Uses a server that a killed program of ours has left running, if its settings are what we want.
   */
  async #adopt(): Promise<boolean> {
    const found = await this.#readyPostmaster()
    if (found === undefined) return false
    this.pid = found.pid
    this.#port = found.port
    await this.#takeLock()
    const wanted = serverArgs(this.#cluster, found.port, this.#settings)
    if (await wasStartedWith(this.#cluster, wanted)) {
      this.#logger.info({ pid: found.pid }, 'adopted the PostgreSQL that was left running')
      return true
    }
    this.#logger.info({ pid: found.pid }, 'restarting PostgreSQL with other settings')
    await this.#guard?.close()
    await stopPostmaster(found.pid)
    return false
  }

  /**
   * A live postmaster of this directory, once it has finished starting; not one that is about to
   * end.
   */
  async #readyPostmaster(): Promise<{ pid: number; port: number } | undefined> {
    const deadline = Date.now() + 30_000
    let found = await livePostmaster(this.#cluster)
    while (found !== undefined && found.status !== 'ready') {
      if (found.status === 'stopping' && Date.now() > deadline) await stopPostmaster(found.pid)
      await sleep(20)
      found = await livePostmaster(this.#cluster)
    }
    return found
  }

  /**
   * Sessions of a postmaster that was killed hold its shared memory until they notice: hence the
   * retries.
   */
  async #start(signal: AbortSignal = this.#stopping.signal): Promise<void> {
    this.pid = await withBackoff(() => this.#startOnce(), {
      signal,
      firstMilliseconds: 100,
      mostMilliseconds: 5_000,
      onRetry: (error) => this.#logger.warn({ reason: messageOf(error) }, 'PostgreSQL not started'),
    })
  }

  async #startOnce(): Promise<number> {
    // Another program may have been faster; then taking the lock will tell.
    const found = await this.#readyPostmaster()
    if (found !== undefined) {
      this.#port = found.port
      return found.pid
    }
    // Before anyone knows the URL another port is as good, should this one have been taken.
    if (this.url === '') this.#port = await freePort(this.#port)
    this.#logger.debug({ port: this.#port }, 'starting PostgreSQL')
    return startPostmaster(this.#cluster, this.#port, this.#settings)
  }

  /**
   * A session holds an advisory lock for as long as we live, so that a second program on the same
   * directory is refused instead of adopting the server, and stopping it under us. PostgreSQL lets
   * go of it when we die.
   */
  async #takeLock(): Promise<void> {
    if (this.#guard !== undefined && this.#guard.lost === undefined) return
    const guard = await connect(this.#urlOf('postgres'), {
      applicationName: 'ledger directory lock',
    })
    this.#guard = guard
    // A killed program's session may need a moment to notice that its client is gone.
    const deadline = Date.now() + 3_000
    for (;;) {
      const row = await guard.queryOne<{ taken: boolean }>(
        'SELECT pg_try_advisory_lock(hashtext($1)) AS taken',
        [this.#cluster.data],
      )
      if (row?.taken) return
      if (Date.now() > deadline) break
      await sleep(50)
    }
    await guard.close()
    throw new LedgerError(
      'DATA_DIR_LOCKED',
      `--data-dir: ${this.#cluster.directory} is in use by another running program. ` +
        'Stop that one, or give another --data-dir.',
    )
  }

  async #createDatabase(): Promise<void> {
    const guard = this.#guard
    const found = await guard?.query('SELECT 1 FROM pg_database WHERE datname = $1', [database])
    if (found?.length === 0) await guard?.execute(`CREATE DATABASE ${database}`)
  }

  /** Starts the server again when it has died, keeps the lock, and keeps its log file small. */
  async #watch(): Promise<void> {
    const { signal } = this.#stopping
    while (!signal.aborted) {
      try {
        if (!isAlive(this.pid)) {
          this.#logger.error({ pid: this.pid }, 'PostgreSQL has died; starting it again')
          await this.#start()
          this.#logger.info({ pid: this.pid }, 'PostgreSQL is running again')
        }
        await this.#takeLock()
        await this.#limitLog()
      } catch (error) {
        if (!this.#stopping.signal.aborted)
          this.#logger.warn({ reason: messageOf(error) }, 'watching PostgreSQL')
      }
      await sleep(200, undefined, { signal }).catch(() => {})
    }
  }

  async #limitLog(): Promise<void> {
    const { size } = await stat(this.#cluster.logFile)
    if (size > logBytesMax) await truncate(this.#cluster.logFile)
  }

  async #lastPort(): Promise<number | undefined> {
    const path = join(this.#cluster.directory, 'port')
    const port = Number(await readFile(path, 'utf8').catch(() => ''))
    return Number.isSafeInteger(port) && port > 0 ? port : undefined
  }

  #urlOf(name: string): string {
    return clusterUrl(this.#cluster, this.#port, name)
  }
}

const database = 'ledger'

/** Whether the server that runs was started with these arguments; PostgreSQL notes them down. */
async function wasStartedWith(cluster: Cluster, args: readonly string[]): Promise<boolean> {
  const noted = await readFile(join(cluster.data, 'postmaster.opts'), 'utf8').catch(() => '')
  const wanted = [cluster.binaries.postgres, ...args.map((arg) => `"${arg}"`)].join(' ')
  return noted.trim() === wanted
}
