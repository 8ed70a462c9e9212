// A COMMIT whose reply is dropped has happened, and only its client does not know.

import assert from 'node:assert/strict'
import { after, before, beforeEach, test } from 'node:test'
import pg from 'pg'
import { startTestPostgres, type TestPostgres } from '../postgres.ts'
import { Proxy } from './proxy.ts'

let postgres: TestPostgres
let proxy: Proxy
let direct: pg.Client

before(async () => {
  postgres = await startTestPostgres()
  proxy = await Proxy.start({ port: Number(new URL(postgres.url).port), isPostgres: true })
  direct = new pg.Client(postgres.url)
  await direct.connect()
})

after(async () => {
  await direct.end()
  await proxy.close()
  await postgres.stop()
})

beforeEach(async () => {
  await direct.query('DROP TABLE IF EXISTS t')
  await direct.query('CREATE TABLE t (n int UNIQUE DEFERRABLE INITIALLY DEFERRED)')
})

async function connect(applicationName: string): Promise<pg.Client> {
  const client = new pg.Client({
    connectionString: proxy.through(postgres.url),
    application_name: applicationName,
  })
  client.on('error', () => undefined)
  await client.connect()
  return client
}

async function rows(): Promise<number> {
  const result = await direct.query<{ count: number }>('SELECT count(*)::int AS count FROM t')
  return result.rows[0]?.count ?? -1
}

for (const [how, commit] of [
  ['by itself', 'COMMIT'],
  ['at the end of a script', 'INSERT INTO t VALUES (2); COMMIT'],
  ['as an extended query', { text: 'COMMIT', values: [], name: 'c' }],
] as const) {
  test(`the client of a COMMIT sent ${how} is cut off, and the rows are there`, async () => {
    const client = await connect('writer')
    const dropped = proxy.dropCommitReply(/^writer$/)
    await client.query('BEGIN')
    await client.query('INSERT INTO t VALUES (1)')
    await assert.rejects(client.query(commit as string), /terminated|ECONNRESET/)
    assert.deepEqual(await dropped, { applicationName: 'writer', tag: 'COMMIT' })
    assert.equal(await rows(), how === 'at the end of a script' ? 2 : 1)
  })
}

test('a COMMIT that PostgreSQL refuses is told as such', async () => {
  const client = await connect('writer')
  const dropped = proxy.dropCommitReply()
  await client.query('BEGIN')
  await client.query('INSERT INTO t VALUES (1), (1)')
  await assert.rejects(client.query('COMMIT'), /terminated|ECONNRESET/)
  assert.deepEqual(await dropped, { applicationName: 'writer', tag: '' })
  assert.equal(await rows(), 0)
})

test('other clients commit as ever, and large copies are followed through', async () => {
  const [writer, other] = await Promise.all([connect('writer'), connect('other')])
  const dropped = proxy.dropCommitReply(/^writer$/)
  await other.query('BEGIN')
  await other.query('INSERT INTO t SELECT generate_series(1, 1000)')
  const text = `-- ${'COMMIT; '.repeat(100_000)}\nSELECT 1`
  await other.query(text)
  assert.equal((await other.query('COMMIT')).command, 'COMMIT')
  await other.end()
  await writer.query('BEGIN')
  await assert.rejects(writer.query('COMMIT'), /terminated|ECONNRESET/)
  assert.equal((await dropped).tag, 'COMMIT')
  assert.equal(await rows(), 1000)
})
