// One PostgreSQL data directory and its postmaster: create, start, look, stop.
// In:  a directory, settings, a port.
// Out: a running postmaster's process id.
// Absent: adopting, restarting, passwords in use (embedded.ts), SQL.

import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import {
  mkdir,
  open,
  readdir,
  readFile,
  realpath,
  rename,
  rm,
  stat,
  writeFile,
} from 'node:fs/promises'
import { readFileSync, readlinkSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { LedgerError, messageOf } from '../errors.ts'
import { findPostgresBinaries, type PostgresBinaries } from './binaries.ts'
import { serverUser, type ServerUser } from './privileges.ts'

/** Superuser and database of a cluster of ours. */
const clusterUser = 'ledger'

export interface Cluster {
  readonly directory: string
  /** PGDATA, below `directory`. */
  readonly data: string
  /** What the server writes to standard error. */
  readonly logFile: string
  readonly password: string
  readonly binaries: PostgresBinaries
  readonly user: ServerUser
}

export interface PidFile {
  pid: number
  port: number
  /** `starting`, `ready`, `stopping`, …; '' before the server has written it. */
  status: string
}

/**
 * Opens the cluster in `directory`, creating it when there is none. `sync: false` is for tests
 * only.
 */
export async function openCluster(
  directory: string,
  { sync }: { sync: boolean },
): Promise<Cluster> {
  await mkdir(directory, { recursive: true })
  const root = await realpath(directory)
  const binaries = await findPostgresBinaries()
  const user = await serverUser(root, binaries.postgres)
  const data = join(root, 'cluster')
  const logFile = join(root, 'server.log')
  if (!(await exists(join(data, 'PG_VERSION')))) await create(root, data, binaries, user, sync)
  const password = (await readFile(join(data, 'ledger.password'), 'utf8')).trim()
  return { directory: root, data, logFile, password, binaries, user }
}

/**
 * Creates under another name and renames: a process killed half way, or two that start at once,
 * never leave a half made cluster under the real name.
 */
async function create(
  root: string,
  data: string,
  binaries: PostgresBinaries,
  user: ServerUser,
  sync: boolean,
): Promise<void> {
  const unique = randomBytes(6).toString('hex')
  const draft = join(root, `${draftPrefix}${unique}`)
  const passwordFile = `${draft}.password`
  try {
    await writeFile(passwordFile, randomBytes(24).toString('hex'), { mode: 0o600 })
    await user.own(passwordFile)
    const args = [
      `--pgdata=${draft}`,
      `--username=${clusterUser}`,
      `--pwfile=${passwordFile}`,
      '--auth=scram-sha-256',
      '--encoding=UTF8',
      '--locale=C',
      '--locale-provider=builtin',
      '--builtin-locale=C.UTF-8',
      '--data-checksums',
      '--no-instructions',
    ]
    await run(user, binaries.initdb, sync ? args : [...args, '--no-sync'])
    await rename(passwordFile, join(draft, 'ledger.password'))
    await rename(draft, data)
  } catch (error) {
    // Another program may have been faster, and then its cluster is as good.
    if (!(await exists(join(data, 'PG_VERSION')))) throw error
  } finally {
    await rm(passwordFile, { force: true })
    await removeDraft(draft)
  }
}

const draftPrefix = 'new-'

/** Removes what creations that were cut short have left. */
export async function removeDrafts({ directory }: Cluster): Promise<void> {
  for (const name of await readdir(directory)) {
    if (!name.startsWith(draftPrefix)) continue
    await removeDraft(join(directory, name))
  }
}

/** Another program that started at once may still be writing it, or be removing it as well. */
async function removeDraft(path: string): Promise<void> {
  await rm(path, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 })
}

async function run(user: ServerUser, program: string, args: readonly string[]): Promise<void> {
  const child = user.spawn(program, args, { cwd: '/', stdio: ['ignore', 'ignore', 'pipe'] })
  let output = ''
  child.stderr?.setEncoding('utf8').on('data', (text: string) => (output += text))
  const [code] = (await once(child, 'close')) as [number | null]
  if (code === 0) return
  throw new LedgerError(
    'DEPENDENCY_MISSING',
    `${program} failed with ${code} as ${user.name}: ${output.trim()}`,
  )
}

/**
 * Starts a postmaster in a session of its own, so that ^C on our terminal does not reach it before
 * we have flushed, and waits until it takes connections. Rejects with DATABASE_UNAVAILABLE and the
 * end of its log when it does not.
 */
export async function startPostmaster(
  cluster: Cluster,
  port: number,
  settings: Readonly<Record<string, string>>,
): Promise<number> {
  await removeStalePidFile(cluster)
  const log = await open(cluster.logFile, 'a', 0o600)
  const logStart = (await log.stat()).size
  const child = cluster.user.spawn(cluster.binaries.postgres, serverArgs(cluster, port, settings), {
    cwd: '/',
    detached: true,
    stdio: ['ignore', log.fd, log.fd],
  })
  try {
    const exited = once(child, 'exit').then(
      ([code, signal]) => `it ended with ${String(code ?? signal)}`,
      messageOf,
    )
    // However long: after a crash it may have gigabytes to recover, and must not be cut short.
    for (;;) {
      const found = await readPidFile(cluster)
      if (found?.pid === child.pid && found?.status === 'ready') return found.pid
      const how = await Promise.race([exited, sleep(10)])
      if (how === undefined) continue
      const tail = (await readFile(cluster.logFile, 'utf8')).slice(logStart).trim().slice(-2000)
      throw new LedgerError('DATABASE_UNAVAILABLE', `PostgreSQL did not start: ${how}. ${tail}`)
    }
  } finally {
    child.unref()
    await log.close()
  }
}

/** Arguments of the server; the same settings give the same arguments. */
export function serverArgs(
  cluster: Cluster,
  port: number,
  settings: Readonly<Record<string, string>>,
): string[] {
  const all = { listen_addresses: '127.0.0.1', unix_socket_directories: '', ...settings }
  const pairs = Object.entries(all).flatMap(([name, value]) => ['-c', `${name}=${value}`])
  return ['-D', cluster.data, '-p', String(port), ...pairs]
}

/** What the postmaster says of itself in its pid file; `undefined` when there is none. */
async function readPidFile(cluster: Cluster): Promise<PidFile | undefined> {
  const text = await readFile(join(cluster.data, 'postmaster.pid'), 'utf8').catch(() => '')
  const lines = text.split('\n')
  const pid = Number(lines[0])
  if (!Number.isSafeInteger(pid) || pid <= 0) return undefined
  return { pid, port: Number(lines[3]), status: (lines[7] ?? '').trim() }
}

/** The process id of a postmaster that runs on this cluster now. */
export async function livePostmaster(cluster: Cluster): Promise<PidFile | undefined> {
  const found = await readPidFile(cluster)
  return found !== undefined && isServerOf(cluster, found.pid) ? found : undefined
}

/**
 * After a reboot the number in the file may belong to any process, even to ourselves, and
 * PostgreSQL would then refuse to start for ever. The server works inside its data directory, which
 * tells the two apart.
 */
async function removeStalePidFile(cluster: Cluster): Promise<void> {
  const found = await readPidFile(cluster)
  if (found === undefined || isServerOf(cluster, found.pid)) return
  await rm(join(cluster.data, 'postmaster.pid'), { force: true })
}

function isServerOf(cluster: Cluster, pid: number): boolean {
  if (!isAlive(pid)) return false
  if (process.platform !== 'linux') return true
  try {
    return readlinkSync(`/proc/${pid}/cwd`) === cluster.data
  } catch {
    return false
  }
}

/** Whether a process runs; a zombie nobody has waited for does not. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false
  }
  if (process.platform !== 'linux') return true
  try {
    const status = readFileSync(`/proc/${pid}/stat`, 'utf8')
    return status.charAt(status.lastIndexOf(')') + 2) !== 'Z'
  } catch {
    return false
  }
}

/**
 * Fast shutdown; harsher when it does not end in time. A harsh end costs a recovery at the next
 * start, no data.
 */
export async function stopPostmaster(pid: number): Promise<void> {
  const steps: [NodeJS.Signals, number][] = [
    ['SIGINT', 20_000],
    ['SIGQUIT', 5_000],
    ['SIGKILL', 5_000],
  ]
  for (const [signal, milliseconds] of steps) {
    signalQuietly(pid, signal)
    if (await waitUntilGone(pid, milliseconds)) return
  }
}

export async function waitUntilGone(pid: number, milliseconds: number): Promise<boolean> {
  const deadline = Date.now() + milliseconds
  while (isAlive(pid)) {
    if (Date.now() > deadline) return false
    await sleep(10)
  }
  return true
}

function signalQuietly(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}

/**
 * A port of 127.0.0.1 that is free now, outside the range the system hands to outgoing connections:
 * a client that keeps trying a port of that range while the server is away will sooner or later
 * connect to itself and hold it.
 */
export async function freePort(preferred?: number): Promise<number> {
  for (let attempt = 0; attempt < 200; attempt++) {
    const candidate = attempt === 0 ? preferred : undefined
    const port = candidate ?? 15_000 + Math.floor(Math.random() * 15_000)
    if (await isFree(port)) return port
  }
  throw new LedgerError('LISTEN_FAILED', 'No free port on 127.0.0.1 between 15000 and 29999.')
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer()
  try {
    server.listen(port, '127.0.0.1')
    await once(server, 'listening')
    return (server.address() as AddressInfo).port === port
  } catch {
    return false
  } finally {
    server.close()
  }
}

/** Where clients connect; psql takes it as it is. */
export function clusterUrl(cluster: Cluster, port: number, database: string): string {
  return `postgresql://${clusterUser}:${cluster.password}@127.0.0.1:${port}/${database}`
}

async function exists(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined)) !== undefined
}
