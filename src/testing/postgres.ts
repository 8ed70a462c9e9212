// A real PostgreSQL for one test file: its own directory and port, gone when the test process is.
// In:  settings.
// Out: a URL, and ways to kill and restart the server.
// Absent: the tables (ledger/migrate.ts creates them), durability across power loss (fsync is off).

import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { chmod, chown, cp, mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises'
import { Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import {
  clusterUrl,
  freePort,
  openCluster,
  startPostmaster,
  stopPostmaster,
  waitUntilGone,
} from '../postgres/cluster.ts'

export interface TestPostgresOptions {
  /** Server settings besides those for quick tests. */
  settings?: Readonly<Record<string, string>>
  /** Where its directory is made; that of temporary files where absent. */
  parent?: string
  /** Follows this server, which must have `replicated` settings. */
  standbyOf?: TestPostgres
  /** Begins with the files of a backup of another, whose user and password it has. */
  backup?: string
}

export interface TestPostgres {
  /** Stays the same over restarts. */
  readonly url: string
  readonly directory: string
  /** Of the postmaster that was started last. */
  pid(): number
  /** SIGKILL; resolves when it is gone. */
  killPostmaster(): Promise<void>
  /** Starts it again after a kill. */
  start(): Promise<void>
  /** Stops it if it runs, and starts it. */
  restart(): Promise<void>
  /** An empty database of its own on this server; resolves with its URL. */
  createDatabase(name: string): Promise<string>
  /** Stops it and removes the directory. */
  stop(): Promise<void>
}

/** A killed process loses no file it has written, so tests need no fsync. */
const quickSettings = {
  fsync: 'off',
  shared_buffers: '64MB',
  max_connections: '50',
  max_wal_size: '1GB',
  wal_level: 'minimal',
  max_wal_senders: '0',
  autovacuum_naptime: '60',
}

/** Settings of a server that others may follow. */
export const replicated = { wal_level: 'replica', max_wal_senders: '4', wal_keep_size: '256MB' }

export async function startTestPostgres(options: TestPostgresOptions = {}): Promise<TestPostgres> {
  const directory = await mkdtemp(join(options.parent ?? tmpdir(), 'ledger-postgres-'))
  const guard = spawnGuard(directory)
  const { standbyOf, backup } = options
  if (standbyOf) await copyCluster(standbyOf, directory)
  if (backup !== undefined) await copyBackup(backup, directory)
  const cluster = await openCluster(directory, { sync: false })
  const settings = {
    ...quickSettings,
    ...(standbyOf && { ...replicated, primary_conninfo: conninfo(standbyOf) }),
    ...options.settings,
  }
  const [port, firstPid] = await startOnFreePort((candidate) =>
    startPostmaster(cluster, candidate, settings),
  )
  let pid = firstPid
  const start = async () => {
    pid = await startUntilFree(() => startPostmaster(cluster, port, settings))
  }
  return {
    url: clusterUrl(cluster, port, 'postgres'),
    directory,
    pid: () => pid,
    async killPostmaster() {
      process.kill(pid, 'SIGKILL')
      await waitUntilGone(pid, 10_000)
    },
    start,
    async restart() {
      await stopPostmaster(pid)
      await start()
    },
    async createDatabase(name) {
      const client = new pg.Client(clusterUrl(cluster, port, 'postgres'))
      await client.connect()
      await client.query(`CREATE DATABASE ${client.escapeIdentifier(name)}`)
      await client.end()
      return clusterUrl(cluster, port, name)
    },
    async stop() {
      await stopPostmaster(pid)
      // Awaited, it must keep this process alive.
      guard.ref()
      const guardGone = once(guard, 'close')
      guard.stdin?.end()
      await guardGone
      await rm(directory, { recursive: true, force: true })
    },
  }
}

/** A base backup by the low-level protocol, since the packaged binaries lack pg_basebackup. */
async function copyCluster(source: TestPostgres, directory: string): Promise<void> {
  const data = join(directory, 'cluster')
  const client = new pg.Client(source.url)
  await client.connect()
  await client.query(`SELECT pg_backup_start('standby', true)`)
  await cp(join(source.directory, 'cluster'), data, {
    recursive: true,
    preserveTimestamps: true,
    filter: (path) => !/postmaster\.(pid|opts)$|pg_wal\/.+|pg_internal\.init/.test(path),
  })
  const stopped = await client.query<{ labelfile: string }>('SELECT * FROM pg_backup_stop(false)')
  await client.end()
  await writeFile(join(data, 'backup_label'), stopped.rows[0].labelfile)
  await writeFile(join(data, 'standby.signal'), '')
  await ownLike(join(source.directory, 'cluster'), data)
}

async function copyBackup(backup: string, directory: string): Promise<void> {
  const data = join(directory, 'cluster')
  await cp(backup, data, { recursive: true, preserveTimestamps: true })
  await ownLike(join(backup, 'PG_VERSION'), data)
}

/** The server refuses a directory that others may look into. */
async function ownLike(model: string, data: string): Promise<void> {
  await chmod(data, 0o700)
  const { uid, gid } = await stat(model)
  for (const path of ['.', ...(await readdir(data, { recursive: true }))]) {
    await chown(join(data, path), uid, gid)
  }
}

function conninfo({ url }: TestPostgres): string {
  const { hostname, port, username, password } = new URL(url)
  return `host=${hostname} port=${port} user=${username} password=${password}`
}

/**
 * Outlives this process by a moment: when its standard input closes, whether because the test
 * stopped the server or because the test process was killed, it ends whatever server is left and
 * removes the directory.
 */
function spawnGuard(directory: string): ChildProcess {
  const script = `cat >/dev/null
pid=$(head -n 1 "$0/cluster/postmaster.pid" 2>/dev/null) && kill -QUIT "$pid" 2>/dev/null
for attempt in 1 2 3 4 5 6 7 8 9 10; do rm -rf "$0" 2>/dev/null && break; sleep 0.2; done`
  const guard = spawn('/bin/sh', ['-c', script, directory], {
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true,
  })
  guard.unref()
  if (guard.stdin instanceof Socket) guard.stdin.unref()
  return guard
}

/** Another process may take the port between the look and the start. */
async function startOnFreePort(
  start: (port: number) => Promise<number>,
): Promise<[port: number, pid: number]> {
  for (let attempt = 1; ; attempt++) {
    const port = await freePort()
    try {
      return [port, await start(port)]
    } catch (error) {
      if (attempt === 5) throw error
    }
  }
}

/**
 * Sessions of a killed postmaster take a moment to notice, and until then hold the shared memory.
 */
async function startUntilFree(start: () => Promise<number>): Promise<number> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await start()
    } catch (error) {
      if (attempt === 50) throw error
      await sleep(100)
    }
  }
}
