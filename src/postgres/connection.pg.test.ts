import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { startTestPostgres, type TestPostgres } from '../testing/postgres.ts'
import { connect, describeDatabase, type ConnectOptions, type Connection } from './connection.ts'
import { copyIn } from './copy.ts'

let server: TestPostgres

before(async () => {
  server = await startTestPostgres()
})

after(() => server.stop())

function open(more: Partial<ConnectOptions> = {}, url = server.url): Promise<Connection> {
  return connect(url, { applicationName: 'ledger test', ...more })
}

/** The URL with one part replaced. */
function altered(part: 'password' | 'pathname' | 'port', value: string): string {
  const url = new URL(server.url)
  url[part] = value
  return url.href
}

async function terminate(connection: Connection): Promise<void> {
  const row = await connection.queryOne<{ pid: number }>('SELECT pg_backend_pid() AS pid')
  const other = await open()
  await other.execute('SELECT pg_terminate_backend($1, 5000)', [row?.pid])
  await other.close()
}

test('a URL that is none is refused by the name of its flag, without showing a password', () => {
  for (const url of ['', 'ledger', 'mysql://u:secret@h/d', 'postgresql://u:secret@h:x/d']) {
    assert.throws(
      () => describeDatabase(url),
      (error: Error) =>
        /^--database-url: expected/.test(error.message) && !/secret/.test(error.message),
    )
  }
})

test('messages name server and database, not user and password', () => {
  assert.equal(describeDatabase('postgres://u:p@db.example:6432/x'), 'PostgreSQL db.example:6432/x')
  assert.equal(describeDatabase('postgresql://u@/x?host=/run/pg'), 'PostgreSQL /run/pg:5432/x')
})

test('operators see the application name', async () => {
  const connection = await open()
  const rows = await connection.query('SELECT current_setting($1) AS name', ['application_name'])
  assert.deepEqual(rows, [{ name: 'ledger test' }])
  await connection.close()
})

test('a wrong password or database is refused; a server that is away is waited for', async () => {
  await assert.rejects(open({}, altered('password', 'wrong')), { code: 'DATABASE_REFUSED' })
  await assert.rejects(open({}, altered('pathname', '/nowhere')), { code: 'DATABASE_REFUSED' })
  await assert.rejects(open({}, altered('port', '1')), { code: 'DATABASE_UNAVAILABLE' })
})

test('a connection cut between statements fails the next one, not the process', async () => {
  const connection = await open()
  await terminate(connection)
  await assert.rejects(connection.query('SELECT 1'), { code: 'DATABASE_UNAVAILABLE' })
  assert.equal(connection.lost?.code, 'DATABASE_UNAVAILABLE')
  await connection.close()
})

test('a server that does not answer in time counts as gone', async () => {
  const connection = await open({ answerSeconds: 0.05 })
  await assert.rejects(connection.query('SELECT pg_sleep(60)'), {
    code: 'DATABASE_UNAVAILABLE',
    message: /no answer within 0.05 s/,
  })
})

test('aborting cuts the connection in the middle of a statement', async () => {
  const controller = new AbortController()
  const connection = await open({ signal: controller.signal })
  const asked = connection.query('SELECT pg_sleep(60)')
  controller.abort()
  await assert.rejects(asked, { code: 'DATABASE_UNAVAILABLE' })
})

test('aborting ends a connecting, before it and during it', async () => {
  await assert.rejects(open({ signal: AbortSignal.abort() }), { code: 'STOPPING' })
  const controller = new AbortController()
  const opening = open({ signal: controller.signal })
  controller.abort()
  await assert.rejects(opening, { code: 'STOPPING' })
})

test('several statements answer one by one, and an error undoes all of them', async () => {
  const connection = await open()
  const results = await connection.script(
    'CREATE TABLE several (n integer); INSERT INTO several VALUES (1), (2); SELECT n FROM several',
  )
  assert.deepEqual(
    results.map(({ command, count }) => [command, count]),
    [
      ['CREATE', 0],
      ['INSERT', 2],
      ['SELECT', 2],
    ],
  )
  await assert.rejects(connection.script('DELETE FROM several; SELECT 1 / 0'), { code: '22012' })
  assert.equal((await connection.query('SELECT * FROM several')).length, 2)
  await connection.close()
})

test('COPY takes several buffers, and statements before it', async () => {
  const connection = await open()
  const sql = 'CREATE TEMPORARY TABLE copied (n integer); COPY copied FROM STDIN'
  assert.equal(await copyIn(connection, sql, [Buffer.from('1\n2'), Buffer.from('3\n4\n')]), 3)
  assert.deepEqual(await connection.query('SELECT sum(n)::int AS sum FROM copied'), [{ sum: 28 }])
  await connection.close()
})

test('a COPY refused while most of it is still on its way leaves the connection usable', async () => {
  const connection = await open()
  await connection.execute('CREATE TEMPORARY TABLE unlike (n integer PRIMARY KEY)')
  const large = Buffer.from('1\n'.repeat(8_000_000))
  await assert.rejects(copyIn(connection, 'COPY unlike FROM STDIN', [large]), { code: '23505' })
  assert.deepEqual(await connection.query('SELECT count(*)::int AS n FROM unlike'), [{ n: 0 }])
  await connection.close()
})

test('a COPY whose connection is cut fails as any statement does', async () => {
  const connection = await open()
  await connection.execute('CREATE TABLE cut (n integer)')
  const blocker = await open()
  await blocker.script('BEGIN; LOCK TABLE cut')
  const copying = copyIn(connection, 'COPY cut FROM STDIN', [Buffer.from('1\n')])
  setImmediate(() => connection.destroy())
  await assert.rejects(copying, { code: 'DATABASE_UNAVAILABLE' })
  await blocker.close()
})
