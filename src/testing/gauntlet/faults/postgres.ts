// PostgreSQL's sessions and processes ended, killed and frozen.
// In:  a scene.
// Out: faults.
// Absent: its disk, and copies of it (../trials/).

import { existsSync, readFileSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { Client } from 'pg'
import type { TestPostgres } from '../../postgres.ts'
import { kill } from '../../postmasters.ts'
import type { Fault, Heal, LogKind, Scene } from '../fault.ts'

const everywhere: readonly LogKind[] = ['embedded', 'kafka']
const terminateEveryMs = 500

const terminateSessions: Fault = {
  name: 'terminate-sessions',
  kind: 'postgres',
  what: 'pg_terminate_backend for every session of the program, every 500 ms.',
  logs: everywhere,
  holdMs: [1_000, 3_000],
  inject: (scene) => {
    const over = new AbortController()
    const work = terminating(scene, over.signal)
    return Promise.resolve(async () => {
      over.abort()
      await work
    })
  },
}

async function terminating(scene: Scene, over: AbortSignal): Promise<void> {
  while (!over.aborted) {
    await terminateOnce(scene.databaseUrl).catch(() => undefined)
    await delay(terminateEveryMs, undefined, { signal: over }).catch(() => undefined)
  }
}

const ofTheProgram = `FROM pg_stat_activity WHERE backend_type = 'client backend'
  AND pid <> pg_backend_pid() AND application_name <> 'gauntlet'`

async function terminateOnce(url: string): Promise<void> {
  await asked(url, `SELECT pg_terminate_backend(pid) ${ofTheProgram}`)
}

async function asked(url: string, sql: string): Promise<readonly { pid: number }[]> {
  const client = new Client({
    connectionString: url,
    application_name: 'gauntlet',
    connectionTimeoutMillis: 1_000,
    query_timeout: 1_000,
  })
  client.on('error', () => undefined)
  try {
    await client.connect()
    return (await client.query<{ pid: number }>(sql)).rows
  } finally {
    // One that is frozen would never answer.
    await Promise.race([client.end().catch(() => undefined), delay(500)])
  }
}

/** Process ids of the sessions of the program; none where nobody answers. */
async function sessions(scene: Scene): Promise<readonly number[]> {
  const rows = await asked(scene.databaseUrl, `SELECT pid ${ofTheProgram}`).catch(() => [])
  return rows.map(({ pid }) => pid)
}

const killSession: Fault = {
  name: 'kill-session',
  kind: 'postgres',
  what: 'SIGKILL of one session; PostgreSQL then ends all others and recovers.',
  logs: everywhere,
  holdMs: [0, 500],
  inject: async (scene, random) => {
    const pids = await sessions(scene)
    if (pids.length > 0) kill(random.pick(pids), 'SIGKILL')
    return () => Promise.resolve()
  },
}

const freezeSession: Fault = {
  name: 'freeze-session',
  kind: 'postgres',
  what: 'SIGSTOP of half of the sessions, then SIGCONT.',
  logs: everywhere,
  holdMs: [500, 2_500],
  inject: async (scene, random) => {
    const frozen = (await sessions(scene)).filter(() => random.chance(0.5))
    for (const pid of frozen) kill(pid, 'SIGSTOP')
    return () => {
      for (const pid of frozen) kill(pid, 'SIGCONT')
      return Promise.resolve()
    }
  },
}

const freezePostgres: Fault = {
  name: 'freeze-postgres',
  kind: 'postgres',
  what: 'SIGSTOP of every process of PostgreSQL, then SIGCONT.',
  logs: everywhere,
  holdMs: [500, 3_000],
  inject: (scene) => {
    const postmaster = scene.postgres.pid()
    kill(postmaster, 'SIGSTOP')
    // Its children are known only now: it starts no more of them.
    const pids = [...childrenOf(postmaster), postmaster]
    for (const pid of pids) kill(pid, 'SIGSTOP')
    return Promise.resolve(() => {
      for (const pid of pids) kill(pid, 'SIGCONT')
      return Promise.resolve()
    })
  },
}

function childrenOf(pid: number): readonly number[] {
  try {
    const text = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8')
    return text.split(' ').map(Number).filter(Boolean)
  } catch {
    return []
  }
}

const killPostmaster: Fault = {
  name: 'kill-postmaster',
  kind: 'postgres',
  what: 'SIGKILL of the postmaster, with what was committed but not yet written; started again.',
  logs: everywhere,
  holdMs: [0, 1_000],
  inject: async (scene): Promise<Heal> => {
    await killPostgres(scene)
    return () => startPostgres(scene)
  },
}

function isRunning(scene: Scene): boolean {
  return existsSync(`/proc/${scene.postgres.pid()}`)
}

/** Another fault may have killed it already, or may start it again first. */
export async function killPostgres(scene: Scene): Promise<void> {
  if (isRunning(scene)) await scene.postgres.killPostmaster()
}

/** The one start that is under way. */
const starting = new WeakMap<TestPostgres, Promise<void>>()

export function startPostgres(scene: Scene): Promise<void> {
  const { postgres } = scene
  const underway = starting.get(postgres)
  if (underway !== undefined) return underway
  if (isRunning(scene)) return Promise.resolve()
  const start = postgres.start().finally(() => starting.delete(postgres))
  starting.set(postgres, start)
  return start
}

const restartPostgres: Fault = {
  name: 'restart-postgres',
  kind: 'postgres',
  what: 'An orderly restart of PostgreSQL.',
  logs: everywhere,
  holdMs: [0, 200],
  inject: async (scene): Promise<Heal> => {
    // Whoever is frozen by another fault could not be stopped.
    const postmaster = scene.postgres.pid()
    for (const pid of [...childrenOf(postmaster), postmaster]) kill(pid, 'SIGCONT')
    if (isRunning(scene)) await scene.postgres.restart()
    return () => startPostgres(scene)
  },
}

export const postgresFaults: readonly Fault[] = [
  terminateSessions,
  killSession,
  freezeSession,
  freezePostgres,
  killPostmaster,
  restartPostgres,
]
