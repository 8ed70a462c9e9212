import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdir, mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { test, type TestContext } from 'node:test'
import { LedgerError } from '../errors.ts'
import { createLogger } from '../observe/logger.ts'
import { connect } from './connection.ts'
import { postmasterPids } from '../testing/postmasters.ts'
import { isAlive, stopPostmaster } from './cluster.ts'
import { startEmbeddedPostgres, type EmbeddedPostgres } from './embedded.ts'

const logger = createLogger('fatal', 'json')
const settings = { shared_buffers: '32MB', max_wal_size: '128MB', min_wal_size: '64MB' }

const running = new Map<string, EmbeddedPostgres[]>()

/** A directory that is gone after the test, with whatever server the test left in it. */
async function scratch(t: TestContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'ledger-embedded-'))
  running.set(directory, [])
  t.after(async () => {
    for (const server of running.get(directory) ?? []) await server.stop()
    for (const pid of postmasterPids(directory)) await stopPostmaster(pid)
    await rm(directory, { recursive: true, force: true })
  })
  return directory
}

async function start(
  directory: string,
  more: Record<string, string> = {},
): Promise<EmbeddedPostgres> {
  const server = await startEmbeddedPostgres({
    directory,
    settings: { ...settings, ...more },
    logger,
  })
  running.get(directory)?.push(server)
  return server
}

async function query(url: string, sql: string): Promise<Record<string, unknown>[]> {
  const connection = await connect(url, { applicationName: 'test' })
  try {
    return await connection.query<Record<string, unknown>>(sql)
  } finally {
    await connection.close()
  }
}

/** Another program that keeps a server in the directory and never stops it. */
async function startElsewhere(directory: string): Promise<{ pid: number; kill(): Promise<void> }> {
  const module = (name: string) => JSON.stringify(new URL(name, import.meta.url).href)
  const script = `
    import { startEmbeddedPostgres } from ${module('./embedded.js')}
    import { createLogger } from ${module('../observe/logger.js')}
    const server = await startEmbeddedPostgres({
      directory: ${JSON.stringify(directory)},
      settings: ${JSON.stringify(settings)},
      logger: createLogger('fatal', 'json'),
    })
    console.log(server.pid)`
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const [line] = (await once(child.stdout, 'data')) as [Buffer]
  return {
    pid: Number(line),
    async kill() {
      child.kill('SIGKILL')
      await once(child, 'close')
    },
  }
}

async function isLocked(attempt: Promise<EmbeddedPostgres>): Promise<boolean> {
  try {
    const server = await attempt
    await server.stop()
    return false
  } catch (error) {
    assert(error instanceof LedgerError && error.code === 'DATA_DIR_LOCKED', String(error))
    return true
  }
}

test('what was written is there after a stop and a start, under the same URL', async (t) => {
  const directory = await scratch(t)
  const first = await start(directory)
  assert.match(first.url, /^postgresql:\/\/ledger:[0-9a-f]{48}@127\.0\.0\.1:\d+\/ledger$/)
  await query(first.url, 'CREATE TABLE kept AS SELECT 1 AS one')
  await first.stop()
  assert.equal(isAlive(first.pid), false)
  const second = await start(directory)
  assert.equal(second.url, first.url)
  assert.deepEqual(await query(second.url, 'SELECT one FROM kept'), [{ one: 1 }])
  await second.stop()
})

test('durability is never traded: fsync, full page writes and checksums are on', async (t) => {
  const server = await start(await scratch(t))
  const [row] = await query(
    server.url,
    `SELECT current_setting('fsync') AS fsync, current_setting('full_page_writes') AS pages,
       current_setting('data_checksums') AS checksums,
       current_setting('synchronous_commit') AS commit`,
  )
  assert.deepEqual(row, { fsync: 'on', pages: 'on', checksums: 'on', commit: 'on' })
  await server.stop()
})

test('the server is reached with its password only, and nobody else can read that', async (t) => {
  const directory = await scratch(t)
  const server = await start(directory)
  const guess = server.url.replace(/:[0-9a-f]{48}@/, ':guess@')
  await assert.rejects(query(guess, 'SELECT 1'), { code: 'DATABASE_REFUSED' })
  const { mode } = await stat(join(directory, 'cluster', 'ledger.password'))
  assert.equal(mode & 0o777, 0o600)
  await server.stop()
})

test('a server that a killed program left running is adopted', async (t) => {
  const directory = await scratch(t)
  const killed = await startElsewhere(directory)
  await killed.kill()
  assert.equal(isAlive(killed.pid), true)
  const server = await start(directory)
  assert.equal(server.pid, killed.pid)
  await server.stop()
  assert.equal(isAlive(killed.pid), false)
})

test('a server left running with other settings is restarted with the new ones', async (t) => {
  const directory = await scratch(t)
  const killed = await startElsewhere(directory)
  await killed.kill()
  const server = await start(directory, { max_connections: '20' })
  assert.notEqual(server.pid, killed.pid)
  const [row] = await query(server.url, 'SHOW max_connections')
  assert.deepEqual(row, { max_connections: '20' })
  await server.stop()
})

test('a server that dies is started again under the same URL, with all it had', async (t) => {
  const server = await start(await scratch(t))
  await query(server.url, 'CREATE TABLE kept AS SELECT 1 AS one')
  const { pid } = server
  process.kill(pid, 'SIGKILL')
  while (server.pid === pid) await sleep(20)
  assert.deepEqual(await query(server.url, 'SELECT one FROM kept'), [{ one: 1 }])
  await server.stop()
})

test('a pid file that names some other living process does not keep it from starting', async (t) => {
  const directory = await scratch(t)
  await (await start(directory)).stop()
  const lines = [process.pid, join(directory, 'cluster'), 1, 5432, '', '127.0.0.1', '', 'ready']
  await writeFile(join(directory, 'cluster', 'postmaster.pid'), lines.join('\n'))
  const server = await start(directory)
  assert.notEqual(server.pid, process.pid)
  await server.stop()
})

test('a creation that was cut short leaves nothing in the way of the next', async (t) => {
  const directory = await scratch(t)
  await mkdir(join(directory, 'new-0123456789ab'))
  const server = await start(directory)
  assert.deepEqual((await readdir(directory)).sort(), ['cluster', 'port', 'server.log'])
  await server.stop()
})

test('a second program on the same directory is refused, and the first goes on', async (t) => {
  const directory = await scratch(t)
  const first = await start(directory)
  assert.equal(await isLocked(start(directory)), true)
  assert.equal((await query(first.url, 'SELECT 1')).length, 1)
  await first.stop()
})

test('of two programs that start at once on a new directory one is refused', async (t) => {
  const directory = await scratch(t)
  const attempts = [start(directory), start(directory)]
  const outcomes = await Promise.allSettled(attempts)
  const started = outcomes.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []))
  const refused = outcomes.flatMap((one) =>
    one.status === 'rejected' ? [one.reason as unknown] : [],
  )
  assert.deepEqual(
    refused.map((error: unknown) => (error instanceof LedgerError ? error.code : error)),
    ['DATA_DIR_LOCKED'],
  )
  assert.equal(started.length, 1)
})

const isRoot = process.getuid?.() === 0

test(
  'started by root it works below a directory that only root may enter',
  {
    skip: isRoot ? false : 'needs root',
  },
  async (t) => {
    const parent = await scratch(t)
    await chmod(parent, 0o700)
    const server = await start(join(parent, 'data', 'postgres'))
    assert.equal((await query(server.url, 'SELECT 1')).length, 1)
    await server.stop()
  },
)
