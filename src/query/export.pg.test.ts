import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { tableFromIPC, type Table } from 'apache-arrow'
import { formatUuid } from '../bytes/uuid.ts'
import type { Route } from '../http/http.ts'
import { ReadDatabases } from '../ledger/read-databases.ts'
import { ask, askWhole, parsed } from '../testing/ask.ts'
import { column, createTestLedger, testLayout, withConnection } from '../testing/ledger.ts'
import { startTestPostgres, type TestPostgres } from '../testing/postgres.ts'
import { RawConnection } from '../testing/raw-http.ts'
import { serve } from '../testing/served.ts'
import { entryRoutes } from './entries.ts'
import { exportRoutes } from './export.ts'

let server: TestPostgres
let url: string
let databases: ReadDatabases
let routes: Route[]

const start = Math.floor(Date.now() / 1000) * 1000
const sizes = [1, 512, 513, 1024, 8192, 8193] as const
const accounts = new Map<number, string>(sizes.map((size) => [size, crypto.randomUUID()]))
const large = crypto.randomUUID()
const largeRows = 250_000
const odd = crypto.randomUUID()
const oddAmounts = [-(2n ** 63n), 2n ** 63n - 1n, 0n, -1n, 2n ** 53n + 1n, -(10n ** 9n)]

before(async () => {
  server = await startTestPostgres()
  url = await createTestLedger(server)
  await withConnection(url, async (connection) => {
    for (const [rows, account] of [...accounts, [largeRows, large] as const]) {
      // A millisecond apart, and one in the order of ids.
      await connection.query(
        `INSERT INTO ledger.transactions
         SELECT $1, (lpad(to_hex($2::bigint + n), 12, '0') || '70008000000000000000')::uuid, n,
           to_timestamp(($2::bigint + n) / 1000.0)
         FROM generate_series(0, $3::bigint - 1) n`,
        [account, start, rows],
      )
    }
    for (const [index, amount] of oddAmounts.entries()) {
      const id = `${String(index).padStart(8, '0')}-0000-4000-8000-000000000000`
      const at = new Date(Date.UTC(1999, 11, 31, 23, 59, 59) + index * 500).toISOString()
      await connection.query('INSERT INTO ledger.transactions VALUES ($1, $2, $3, $4)', [
        odd,
        id,
        String(amount),
        at,
      ])
    }
  })
  databases = new ReadDatabases({
    databaseUrls: [url],
    buckets: testLayout.buckets,
    logger: { warn: () => {} },
  })
  routes = [...exportRoutes(databases), ...entryRoutes(databases)]
})

after(async () => {
  await databases.close()
  await server.stop()
})

const exportOf = (account: string, query = ''): string =>
  `/v1/accounts/${account}/transactions/export${query}`

async function bytesOf(path: string, accept?: string): Promise<Buffer> {
  const reply = await ask(routes, path, accept === undefined ? {} : { headers: { accept } })
  assert.equal(reply.status, 200)
  const chunks: Buffer[] = []
  // A chunk may be overwritten once the next is asked for.
  for await (const chunk of reply.body as AsyncIterable<Uint8Array>) chunks.push(Buffer.from(chunk))
  return Buffer.concat(chunks)
}

interface Line {
  id: string
  account_id: string
  amount: string
  created_at: string
}

/** All of an account as its pages have it. */
async function pagesOf(account: string, query = ''): Promise<Line[]> {
  const lines: Line[] = []
  let cursor: string | null = ''
  while (cursor !== null) {
    const more: string = cursor === '' ? '' : `&cursor=${cursor}`
    const path = `/v1/accounts/${account}/transactions?order=asc&limit=1000${query}${more}`
    const page = parsed(await askWhole(routes, path)) as {
      transactions: Line[]
      next_cursor: string | null
    }
    lines.push(...page.transactions)
    cursor = page.next_cursor
  }
  return lines
}

function fromArrow(table: Table): Line[] {
  const uuidAt = (name: string, row: number): string =>
    formatUuid(table.getChild(name)?.get(row) as Uint8Array)
  return Array.from({ length: table.numRows }, (_, row) => ({
    id: uuidAt('id', row),
    account_id: uuidAt('account_id', row),
    amount: String(table.getChild('amount')?.get(row)),
    created_at: new Date(Number(table.getChild('created_at')?.get(row))).toISOString(),
  }))
}

/** Sessions of exports that PostgreSQL has. */
function sessions(): Promise<unknown[]> {
  return column(url, `SELECT pid FROM pg_stat_activity WHERE application_name = 'ledger export'`)
}

async function untilNoSession(): Promise<void> {
  const deadline = performance.now() + 10_000
  while ((await sessions()).length > 0) {
    assert(performance.now() < deadline, 'the session of the export is still there')
    await delay(20)
  }
}

test('every format has every entry once, in order, whatever the number', async () => {
  for (const account of [...accounts.values(), odd]) {
    const lines = await pagesOf(account)
    const ndjson = (await bytesOf(exportOf(account))).toString()
    assert.equal(ndjson, lines.map((line) => `${JSON.stringify(line)}\n`).join(''))
    const csv = (await bytesOf(exportOf(account, '?format=csv'))).toString()
    const rows = lines.map(({ id, account_id, amount, created_at }) =>
      [id, account_id, amount, created_at].join(),
    )
    assert.equal(csv, ['id,account_id,amount,created_at', ...rows, ''].join('\r\n'))
    const table = tableFromIPC(await bytesOf(exportOf(account, '?format=arrow')))
    assert.deepEqual(fromArrow(table), lines)
    const descending = (await bytesOf(exportOf(account, '?order=desc'))).toString()
    assert.deepEqual(descending.split('\n'), ['', ...ndjson.trimEnd().split('\n')].reverse())
  }
  await untilNoSession()
})

test('Arrow has the types that others expect', async () => {
  const table = tableFromIPC(await bytesOf(exportOf(odd, '?format=arrow')))
  const types = table.schema.fields.map(({ name, type, nullable, metadata }) => [
    name,
    String(type),
    nullable,
    metadata.get('ARROW:extension:name'),
  ])
  assert.deepEqual(types, [
    ['id', 'FixedSizeBinary[16]', false, 'arrow.uuid'],
    ['account_id', 'FixedSizeBinary[16]', false, 'arrow.uuid'],
    ['amount', 'Int64', false, undefined],
    ['created_at', 'Timestamp<MICROSECOND, UTC>', false, undefined],
  ])
})

test('a range without entries is empty, with the head of its format', async () => {
  const range = 'from=2020-01-01T00:00:00Z&to=2020-01-02T00:00:00Z'
  const account = accounts.get(512) ?? ''
  assert.equal((await bytesOf(exportOf(account, `?${range}`))).length, 0)
  const csv = await bytesOf(exportOf(account, `?format=csv&${range}`))
  assert.equal(csv.toString(), 'id,account_id,amount,created_at\r\n')
  const table = tableFromIPC(await bytesOf(exportOf(account, `?format=arrow&${range}`)))
  assert.deepEqual([table.numRows, table.numCols], [0, 4])
})

test('a range has what is in it', async () => {
  const account = accounts.get(8193) ?? ''
  const iso = (offset: number): string => new Date(start + offset).toISOString()
  const query = `from=${iso(500)}&to=${iso(3000)}`
  const lines = (await bytesOf(exportOf(account, `?${query}`))).toString().trimEnd().split('\n')
  assert.deepEqual(
    lines.map((line) => JSON.parse(line) as Line),
    await pagesOf(account, `&${query}`),
  )
  assert.equal(lines.length, 2500)
})

test('the format is what the query says, or else what Accept likes best', async () => {
  const account = accounts.get(1) ?? ''
  const typeOf = async (query: string, accept: string): Promise<string> => {
    const reply = await ask(routes, exportOf(account, query), { headers: { accept } })
    assert.equal(reply.headers?.['Vary'], 'Accept')
    return `${reply.contentType} ${reply.headers?.['Content-Disposition']}`
  }
  const named = (name: string): string => `attachment; filename="${account}.${name}"`
  const csv = `text/csv; charset=utf-8; header=present ${named('csv')}`
  const ndjson = `application/x-ndjson ${named('ndjson')}`
  const arrow = `application/vnd.apache.arrow.stream ${named('arrow')}`
  assert.equal(await typeOf('', '*/*'), ndjson)
  assert.equal(await typeOf('', 'text/csv'), csv)
  assert.equal(await typeOf('', 'application/*;q=0.5, text/csv'), csv)
  assert.equal(await typeOf('', 'application/vnd.apache.arrow.stream, text/csv;q=0.9'), arrow)
  assert.equal(await typeOf('?format=arrow', 'text/csv'), arrow)
})

test('what cannot be exported is refused', async () => {
  const nobody = await askWhole(routes, exportOf(crypto.randomUUID()))
  assert.equal(nobody.status, 404)
  const refused = async (query: string): Promise<unknown> => {
    const { status, field, expected } = parsed(
      await askWhole(routes, exportOf(large, query)),
    ) as Record<string, unknown>
    return [status, field, expected]
  }
  assert.deepEqual(await refused('?format=xml'), [400, 'format', 'ndjson or csv or arrow'])
  assert.deepEqual(await refused('?order=up'), [400, 'order', 'asc or desc'])
  assert.deepEqual(await refused('?limit=3'), [
    400,
    'limit',
    'only format and from and to and order',
  ])
  assert.deepEqual(((await refused('?to=x')) as unknown[])[1], 'to')
})

const request = (path: string): string => `GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`

test('a client that goes away in mid-export ends its session with PostgreSQL', async (t) => {
  const { port, errors } = await serve(t, { routes })
  for (const format of ['ndjson', 'csv', 'arrow']) {
    const connection = await RawConnection.open(port)
    connection.socket.pause()
    connection.send(request(exportOf(large, `?format=${format}`)))
    while ((await sessions()).length === 0) await delay(5)
    connection.close()
    await untilNoSession()
  }
  assert.deepEqual(errors, [])
})

test('a slow client holds PostgreSQL back, and gets all of it in the end', async (t) => {
  const { port } = await serve(t, { routes })
  const connection = await RawConnection.open(port)
  connection.socket.pause()
  connection.send(request(exportOf(large)))
  const waiting = `SELECT count(*)::int FROM pg_stat_activity
    WHERE application_name = 'ledger export' AND wait_event = 'ClientWrite'`
  // PostgreSQL itself waits for the client to take what it has.
  while ((await column(url, waiting))[0] !== 1) await delay(20)
  connection.socket.resume()
  const { body } = await connection.reply()
  const lines = body.trimEnd().split('\n')
  assert.equal(lines.length, largeRows)
  assert.equal(new Set(lines).size, largeRows)
  connection.close()
  await untilNoSession()
})

test('an export that PostgreSQL cannot go on with is cut, never taken for the whole', async (t) => {
  const { port, warnings } = await serve(t, { routes })
  const connection = await RawConnection.open(port)
  connection.socket.pause()
  connection.send(request(exportOf(large)))
  while ((await sessions()).length === 0) await delay(5)
  const [pid] = await sessions()
  await column(url, `SELECT pg_terminate_backend(${Number(pid)})`)
  connection.socket.resume()
  assert.doesNotMatch(await connection.rest(), /0\r\n\r\n$/)
  assert.match(warnings.join(), /a stream failed/)
})

test('more exports than there may be are refused, until one is over', async (t) => {
  const { port } = await serve(t, { routes })
  const clients: RawConnection[] = []
  for (let i = 0; i < 4; i++) {
    const client = await RawConnection.open(port)
    client.socket.pause()
    client.send(request(exportOf(large)))
    clients.push(client)
    while ((await sessions()).length === i) await delay(5)
  }
  const fifth = await RawConnection.open(port)
  fifth.send(request(exportOf(large)))
  const { status, body } = await fifth.reply()
  assert.equal(status, 503)
  assert.match(body, /4 exports are under way/)
  for (const client of clients) client.close()
  await untilNoSession()
  fifth.send(request(exportOf(odd)))
  assert.equal((await fifth.reply()).body.trimEnd().split('\n').length, oddAmounts.length)
  fifth.close()
})

test('an export is of one instant: what is written meanwhile is not in it', async () => {
  const account = accounts.get(1024) ?? ''
  const reply = await ask(routes, exportOf(account))
  const late = (start + 1024).toString(16).padStart(12, '0')
  let lines = 0
  let isWritten = false
  for await (const chunk of reply.body as AsyncIterable<Uint8Array>) {
    if (!isWritten) {
      await column(
        url,
        `INSERT INTO ledger.transactions
         VALUES ('${account}', '${late}70008000000000000000', 1, now()) RETURNING 1`,
      )
      isWritten = true
    }
    lines += Buffer.from(chunk).toString().split('\n').length - 1
  }
  assert.equal(lines, 1024)
  assert.equal((await pagesOf(account)).length, 1025)
})
