import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { gzipSync } from 'node:zlib'
import { Crowd, pour } from '../crowd.ts'
import { temporaryDirectory } from '../guard.ts'
import { Program } from '../program.ts'
import { exchange, RawConnection } from '../raw-http.ts'

const slowSockets = 5_000
const resets = 10_000
const pourers = 20
/** What thousands of sockets may cost the program, over what it had before. */
const growthBytesMax = 200 * 2 ** 20
/** An honest client waits for its turn, and no longer. */
const honestMsMax = 15_000

const directory = temporaryDirectory('hostile')
const program = new Program(['--listen', '127.0.0.1:0', '--data-dir', join(directory.path, 'data')])
let port = 0

before(async () => {
  await program.ready(60_000)
  port = Number(new URL(program.url).port)
})

after(async () => {
  assert.deepEqual(await program.stop(), { code: 0, signal: null })
  directory.remove()
})

function residentBytes(): number {
  const pages = Number(readFileSync(`/proc/${program.child.pid}/statm`, 'utf8').split(' ')[1])
  return pages * 4096
}

async function metric(line: RegExp): Promise<number> {
  const { body } = await exchange(port, `GET /metrics HTTP/1.1\r\n${host}\r\n`)
  return Number(line.exec(body)?.[1] ?? 0)
}

function inflightBytes(): Promise<number> {
  return metric(/^ledger_ingress_inflight_bytes (\d+)$/m)
}

function refusedBodies(): Promise<number> {
  return metric(/^ledger_http_requests_total\{route="\/v1\/transactions",status="413"\} (\d+)$/m)
}

const host = 'Host: x\r\n'
const json = 'Content-Type: application/json\r\n'
const post = `POST /v1/transactions HTTP/1.1\r\n${host}${json}`

function batch(count: number): string {
  const items = Array.from({ length: count }, () => {
    return `{"id":"${randomUUID()}","account_id":"${randomUUID()}","amount":1}`
  })
  return `[${items.join(',')}]`
}

/** Posts while others misbehave; every request of it must be answered, and taken. */
class HonestClient {
  answered = 0
  slowestMs = 0
  #isDone = false
  #done: Promise<void> | undefined

  begin(): this {
    this.#done = this.#run()
    return this
  }

  async end(): Promise<void> {
    this.#isDone = true
    await this.#done
  }

  async #run(): Promise<void> {
    for (let turn = 0; !this.#isDone; turn += 1) {
      const body = batch(turn % 10 === 0 ? 5000 : 10)
      const sentAt = performance.now()
      const length = `Content-Length: ${Buffer.byteLength(body)}\r\n\r\n`
      const { status, body: text } = await exchange(port, `${post}${length}${body}`)
      this.slowestMs = Math.max(this.slowestMs, performance.now() - sentAt)
      assert.equal(status, 202, text)
      this.answered += 1
      await delay(20)
    }
  }
}

/** Runs what is hostile beside an honest client, and looks at the memory meanwhile. */
async function beside(hostile: () => Promise<void>): Promise<HonestClient> {
  // What honest requests cost at first is none of the hostile ones' doing.
  const warm = new HonestClient().begin()
  await delay(1_000)
  await warm.end()
  const bytesBefore = residentBytes()
  let bytesMost = bytesBefore
  const watch = setInterval(() => (bytesMost = Math.max(bytesMost, residentBytes())), 100)
  const honest = new HonestClient().begin()
  try {
    await hostile()
  } finally {
    await honest.end()
    clearInterval(watch)
  }
  assert(honest.answered > 0, 'honest requests were answered')
  assert(honest.slowestMs < honestMsMax, `an honest request took ${honest.slowestMs} ms`)
  const growth = bytesMost - bytesBefore
  assert(growth < growthBytesMax, `resident memory grew by ${Math.round(growth / 2 ** 20)} MiB`)
  return honest
}

test(`${slowSockets} slow sockets: memory stays flat, and others are served`, async (t) => {
  const [crowd, deaf] = [new Crowd(), new Crowd()]
  const each = slowSockets / 5
  const honest = await beside(async () => {
    // They declare ten times what all requests together may hold.
    const long = `${post}Content-Length: 1900000\r\n\r\n`
    await crowd.join(port, each, { first: `${long}${'['.repeat(100)}`, then: ' ' })
    await crowd.join(port, each, { first: 'GET /healthz HTTP/1.1\r\n', then: 'a' })
    await crowd.join(port, each, { first: '', then: '' })
    const chunked = `${post}Transfer-Encoding: chunked\r\n\r\n`
    await crowd.join(port, each, { first: `${chunked}1\r\n[\r\n`, then: '1\r\n \r\n' })
    const page = `GET /openapi.json HTTP/1.1\r\n${host}\r\n`
    await deaf.join(port, each, { first: page, then: page, isDeaf: true })
    assert.equal(crowd.opened + deaf.opened, slowSockets)
    t.diagnostic(`${crowd.open + deaf.open} of ${slowSockets} are open at once`)
    // Whoever does not send a whole request in its time is cut. Those who do, and do not read what
    // they get, are cut once the kernel takes no more of it.
    const until = Date.now() + 30_000
    while (crowd.open > 0 && Date.now() < until) await delay(100)
    assert.equal(crowd.open, 0)
  }).finally(() => {
    crowd.end()
    deaf.end()
  })
  t.diagnostic(`honest: ${honest.answered} answered, ${Math.round(honest.slowestMs)} ms at most`)
})

test(`${resets} connections that are reset leave nothing behind`, async (t) => {
  const parts = [
    'GET /hea',
    `${post}Content-Length: 1900000\r\n\r\n[`,
    `${post}Transfer-Encoding: chunked\r\n\r\n1\r\n[\r\n`,
    `${post}Content-Length: 2\r\n\r\n[]`,
    `GET /openapi.json HTTP/1.1\r\n${host}\r\n`,
  ]
  const honest = await beside(() => Crowd.reset(port, resets, parts))
  t.diagnostic(`honest: ${honest.answered} answered, ${Math.round(honest.slowestMs)} ms at most`)
  const until = Date.now() + 5_000
  while ((await inflightBytes()) > 0 && Date.now() < until) await delay(50)
  assert.equal(await inflightBytes(), 0)
})

test('bodies without end are answered 413 and cut', async () => {
  await beside(async () => {
    const head = `${post}Transfer-Encoding: chunked\r\n\r\n`
    const chunk = Buffer.from(`10000\r\n${' '.repeat(0x10000)}\r\n`)
    const before = await refusedBodies()
    await Promise.all(Array.from({ length: pourers }, () => pour(port, head, chunk)))
    // A client that goes on sending is cut, mostly before it reads why.
    assert.equal((await refusedBodies()) - before, pourers)
  })
})

test('a body that would grow when it is unpacked is refused as it is', async () => {
  await beside(async () => {
    const bomb = gzipSync(Buffer.alloc(64 * 2 ** 20, ' '))
    for (let i = 0; i < 20; i += 1) {
      const connection = await RawConnection.open(port)
      connection.send(`${post}Content-Encoding: gzip\r\nContent-Length: ${bomb.length}\r\n\r\n`)
      connection.send(bomb)
      assert.equal((await connection.reply()).status, 415)
      connection.close()
    }
    await delay(500)
  })
})

test('what nests deeper than any stack is refused with its place', async () => {
  await beside(async () => {
    for (const opening of ['[', '{"id":', '[{"id":', '[[{"amount":[']) {
      const body = opening.repeat(Math.floor(1_900_000 / opening.length))
      for (const path of ['/v1/transactions', '/v1/balances']) {
        const head = `POST ${path} HTTP/1.1\r\n${host}${json}Content-Length: ${body.length}\r\n\r\n`
        const { status } = await exchange(port, `${head}${body}`)
        assert(status === 400 || status === 413, `${path}: ${status}`)
      }
    }
    await delay(500)
  })
})
