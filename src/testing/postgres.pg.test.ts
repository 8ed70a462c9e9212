import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { stat } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { after, before, test } from 'node:test'
import pg from 'pg'
import { isAlive } from '../postgres/cluster.ts'
import { startTestPostgres, type TestPostgres } from './postgres.ts'

let server: TestPostgres

before(async () => {
  server = await startTestPostgres()
})

after(async () => {
  await server.stop()
  await assert.rejects(stat(server.directory), { code: 'ENOENT' })
})

async function select(url: string, sql: string): Promise<unknown[][]> {
  const client = new pg.Client(url)
  await client.connect()
  const { rows } = await client.query<unknown[]>({ text: sql, rowMode: 'array' })
  await client.end()
  return rows
}

test('the server is PostgreSQL 18 with UTF-8 and data checksums', async () => {
  const [row] = await select(
    server.url,
    `SELECT current_setting('server_version_num')::int / 10000,
      current_setting('server_encoding'), current_setting('data_checksums')`,
  )
  assert.deepEqual(row, [18, 'UTF8', 'on'])
})

test('what was committed is there after the postmaster is killed and started again', async () => {
  await select(server.url, 'CREATE TABLE kept AS SELECT 42 AS answer')
  const first = server.pid()
  await server.killPostmaster()
  assert.equal(isAlive(first), false)
  await server.start()
  assert.notEqual(server.pid(), first)
  assert.deepEqual(await select(server.url, 'SELECT answer FROM kept'), [[42]])
})

test('a new database on the server is empty', async () => {
  const url = await server.createDatabase('another')
  assert.deepEqual(await select(url, "SELECT to_regclass('kept')"), [[null]])
})

test('nothing is left when the test process is killed', { timeout: 60_000 }, async () => {
  const module = JSON.stringify(new URL('./postgres.js', import.meta.url).href)
  const script = `
    import { startTestPostgres } from ${module}
    const server = await startTestPostgres()
    console.log(JSON.stringify([server.pid(), server.directory]))
    setInterval(() => {}, 1000)`
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const [line] = (await once(child.stdout, 'data')) as [Buffer]
  const [pid, directory] = JSON.parse(line.toString()) as [number, string]
  assert.equal(isAlive(pid), true)
  child.kill('SIGKILL')
  while (isAlive(pid)) await sleep(20)
  while (await stat(directory).catch(() => undefined)) await sleep(20)
})
