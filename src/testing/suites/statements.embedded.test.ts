import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { encodeBatch, type Entry } from '../../record/encode.ts'
import { temporaryDirectory } from '../guard.ts'
import { withConnection } from '../ledger.ts'
import { endPostmasters } from '../postmasters.ts'
import { Program } from '../program.ts'
import { idAt, uuidBytes } from '../rows.ts'

// As an operator and a client see it: the real program, its own log and PostgreSQL.

const temporary = temporaryDirectory('statements')
const directory = temporary.path
let program: Program
const account = crypto.randomUUID()
const start = Date.now()
const ids = Array.from({ length: 5 }, (_, index) => idAt(start + index))

before(async () => {
  program = new Program(['--data-dir', directory, '--listen', '127.0.0.1:0', '--workers', '1'])
  await program.ready()
  const body = ids.map((id, index) => ({ id, account_id: account, amount: index + 1 }))
  const posted = await fetch(`${program.url}/v1/transactions`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify(body),
  })
  assert.equal(posted.status, 202)
  await untilCount(account, 5)
})

after(async () => {
  await program.stop()
  await endPostmasters(directory)
  temporary.remove()
})

async function untilCount(accountId: string, count: number): Promise<void> {
  for (;;) {
    const found = await fetch(`${program.url}/v1/accounts/${accountId}`)
    const { count: now } = (await found.json()) as { count?: string }
    if (now === String(count)) return
    await delay(20)
  }
}

interface Ran {
  code: number
  out: string
  error: string
}

function quarantine(...words: string[]): Promise<Ran> {
  const main = join(import.meta.dirname, '../../main.js')
  return new Promise((resolve) => {
    execFile(process.execPath, [main, 'quarantine', ...words], (error, out, text) => {
      resolve({ code: error === null ? 0 : Number(error.code), out, error: text })
    })
  })
}

/** A record as workers keep it. */
async function keep(partition: number, offset: number, bytes: Uint8Array): Promise<void> {
  await withConnection(program.databaseUrl, (connection) =>
    connection.execute(
      `INSERT INTO ledger.quarantine VALUES ('a log', $1, $2, 'wrong partition', $3, now(), now())`,
      [partition, offset, Buffer.from(bytes)],
    ),
  )
}

test('a statement is paged by its links, told from what it was, and exported whole', async () => {
  const list = `/v1/accounts/${account}/transactions`
  const first = await fetch(`${program.url}${list}?limit=3&running_balance=true&order=asc`)
  const page = (await first.json()) as { transactions: { running_balance: string }[] }
  assert.deepEqual(
    page.transactions.map((line) => line.running_balance),
    ['1', '3', '6'],
  )
  const [, next] = /<([^>]*)>; rel="next"/.exec(first.headers.get('link') ?? '') ?? []
  const second = await fetch(`${program.url}${next}`)
  const rest = (await second.json()) as typeof page
  assert.deepEqual(
    rest.transactions.map((line) => line.running_balance),
    ['10', '15'],
  )
  const etag = second.headers.get('etag') ?? ''
  const again = await fetch(`${program.url}${next}`, { headers: { 'If-None-Match': etag } })
  assert.equal(again.status, 304)
  assert.equal(await again.text(), '')
  const exported = await fetch(`${program.url}${list}/export`, { headers: { Accept: 'text/csv' } })
  const lines = (await exported.text()).split('\r\n')
  assert.deepEqual(
    lines.slice(1, -1).map((line) => line.split(',')[0]),
    ids,
  )
  const head = await fetch(`${program.url}${list}/export?format=arrow`, { method: 'HEAD' })
  assert.equal(head.headers.get('content-type'), 'application/vnd.apache.arrow.stream')
})

test('quarantined records are listed, shown, and taken by ingress as they are', async () => {
  const other = crypto.randomUUID()
  const entries = Array.from({ length: 5001 }, (_, index): Entry => ({
    id: uuidBytes(idAt(start + index)),
    accountId: uuidBytes(other),
    amount: BigInt(index),
  }))
  await keep(7, 42, encodeBatch(entries))
  const listed = await quarantine('list', '--url', program.url)
  assert.equal(listed.code, 0, listed.error)
  assert.match(
    listed.out,
    /^partition 7 offset 42 \(235047 bytes, .*, log a log\): wrong partition/,
  )
  assert.match(listed.out, /1 record is in quarantine\.\n$/)
  const file = join(directory, 'record.bin')
  const shown = await quarantine('show', '7', '42', '--url', program.url, '--output', file)
  assert.match(shown.out, /reason: wrong partition/)
  assert.deepEqual(new Uint8Array(await readFile(file)), encodeBatch(entries))
  for (const round of [1, 2]) {
    const sent = await quarantine('resubmit', '7', '42', '--url', program.url)
    assert.equal(sent.code, 0, `round ${round}: ${sent.error}`)
    assert.match(sent.out, /part 1 of 2: 5000 transactions accepted, receipt /)
    assert.match(sent.out, /part 2 of 2: 1 transactions accepted/)
    await untilCount(other, 5001)
  }
})

test('bytes that are no batch are refused with the reason, and taken once repaired', async () => {
  await keep(0, 1, Buffer.from('0a2d0a', 'hex'))
  const refused = await quarantine('resubmit', '0', '1', '--url', program.url)
  assert.equal(refused.code, 1)
  assert.match(refused.error, /partition 0 offset 1: refused with 400: .*expected/i)
  const other = crypto.randomUUID()
  const repaired = join(directory, 'repaired.bin')
  const entry = { id: uuidBytes(idAt(start)), accountId: uuidBytes(other), amount: -5n }
  await writeFile(repaired, encodeBatch([entry]))
  const sent = await quarantine('resubmit', '0', '1', '--url', program.url, '--file', repaired)
  assert.equal(sent.code, 0, sent.error)
  await untilCount(other, 1)
})

test('what the command cannot do is told', async () => {
  const nothing = await quarantine('show', '9', '9', '--url', program.url)
  assert.equal(nothing.code, 1)
  assert.match(nothing.error, /No record of partition 9, offset 9 is in quarantine/)
  const away = await quarantine('list', '--url', 'http://127.0.0.1:1')
  assert.equal(away.code, 1)
  assert.match(away.error, /ECONNREFUSED|bad port/)
  for (const words of [['show'], ['show', '128', '0'], ['list', '--url', 'x'], ['x'], ['--x']]) {
    const ran = await quarantine(...words)
    assert.equal(ran.code, 2, words.join(' '))
    assert.match(ran.error, /expected .*, found /)
  }
  assert.match((await quarantine('--help')).out, /resubmit PARTITION OFFSET/)
})
