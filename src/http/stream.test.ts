import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test, type TestContext } from 'node:test'
import { LedgerError } from '../errors.ts'
import { exchange, RawConnection } from '../testing/raw-http.ts'
import { serve, type Served, type ServedOptions } from '../testing/served.ts'
import type { HttpReply, HttpRequest, Route, Stream } from './http.ts'

const get = (path = '/stream'): string => `GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`
const bytes = (text: string): Uint8Array => Buffer.from(text)

function reply(body: Stream, more: Partial<HttpReply> = {}): HttpReply {
  return { status: 200, contentType: 'application/x-ndjson', body, ...more }
}

const alive: Route = { method: 'GET', path: '/alive', handle: () => text('alive') }

function text(body: string): HttpReply {
  return { status: 200, contentType: 'text/plain', body }
}

/** A server whose /stream answers with what `make` makes. */
function streaming(
  t: TestContext,
  make: (request: HttpRequest) => HttpReply,
  options: Partial<ServedOptions> = {},
): Promise<Served> {
  const route: Route = {
    method: 'GET',
    path: '/stream',
    produces: ['application/x-ndjson', 'text/csv'],
    handle: make,
  }
  return serve(t, { routes: [alive, route], ...options })
}

/** A maker whose chunks the test hands in one by one, and that tells what is asked of it. */
class HandedStream implements AsyncIterableIterator<Uint8Array> {
  asked = 0
  readonly returned: Promise<void>
  private onReturn: () => void = () => undefined
  private answer: (result: IteratorResult<Uint8Array>) => void = () => undefined
  private fail: (error: Error) => void = () => undefined
  private onAsked: () => void = () => undefined

  constructor() {
    this.returned = new Promise((resolve) => (this.onReturn = resolve))
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  next(): Promise<IteratorResult<Uint8Array>> {
    this.asked += 1
    this.onAsked()
    return new Promise((resolve, reject) => {
      this.answer = resolve
      this.fail = reject
    })
  }

  return(): Promise<IteratorResult<Uint8Array>> {
    this.onReturn()
    return Promise.resolve({ done: true, value: undefined })
  }

  async untilAsked(times: number): Promise<void> {
    while (this.asked < times) await new Promise<void>((resolve) => (this.onAsked = resolve))
  }

  give(chunk: string): void {
    this.answer({ done: false, value: bytes(chunk) })
  }

  end(): void {
    this.answer({ done: true, value: undefined })
  }

  break(error: Error): void {
    this.fail(error)
  }
}

/** Chunks for ever; `made` counts them. */
function endless(made: { count: number; ended: boolean }, chunk: Uint8Array): Stream {
  return (async function* () {
    try {
      for (;;) {
        await Promise.resolve()
        made.count += 1
        yield chunk
      }
    } finally {
      made.ended = true
    }
  })()
}

async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await new Promise(setImmediate)
}

test('chunks leave as they are made, and the connection takes another request', async (t) => {
  const body = new HandedStream()
  const { port } = await streaming(t, () => reply(body))
  const connection = await RawConnection.open(port)
  connection.send(get())
  await body.untilAsked(1)
  body.give('one\n')
  await connection.until('one\n')
  await body.untilAsked(2)
  body.give('')
  await body.untilAsked(3)
  body.give('two\n'.repeat(50_000))
  await body.untilAsked(4)
  body.end()
  const { status, headers, body: received } = await connection.reply()
  assert.equal(status, 200)
  assert.equal(headers.get('content-type'), 'application/x-ndjson')
  assert.equal(headers.get('cache-control'), 'no-store')
  assert.equal(headers.get('content-length'), undefined)
  assert.equal(received, `one\n${'two\n'.repeat(50_000)}`)
  connection.send(get('/alive'))
  assert.equal((await connection.reply()).body, 'alive')
  connection.close()
})

test('a stream without a chunk is an empty body', async (t) => {
  const { port } = await streaming(t, () => reply((async function* () {})()))
  const connection = await RawConnection.open(port)
  for (let i = 0; i < 2; i++) {
    connection.send(get())
    const { status, body } = await connection.reply()
    assert.deepEqual({ status, body }, { status: 200, body: '' })
  }
  connection.close()
})

test('HEAD is answered as GET is, and nothing is asked of the stream', async (t) => {
  const body = new HandedStream()
  const { port } = await streaming(t, () => reply(body, { headers: { ETag: '"x"' } }))
  const connection = await RawConnection.open(port)
  connection.send(get().replace('GET', 'HEAD'))
  const head = await connection.reply({ withoutBody: true })
  assert.equal(head.status, 200)
  assert.equal(head.headers.get('etag'), '"x"')
  assert.equal(head.headers.get('transfer-encoding'), 'chunked')
  assert.equal(body.asked, 0)
  connection.send(get('/alive'))
  assert.equal((await connection.reply()).body, 'alive')
  connection.close()
})

test('a slow client makes its stream wait, and gets all of it in the end', async (t) => {
  const made = { count: 0, ended: false }
  const line = Buffer.alloc(100_000, 'x')
  const limited: Stream = (async function* () {
    for await (const chunk of endless(made, line)) {
      yield chunk
      if (made.count === 150) return
    }
  })()
  const { port } = await streaming(t, () => reply(limited))
  const connection = await RawConnection.open(port)
  connection.socket.pause()
  connection.send(get())
  // What the kernel holds for both ends is taken; then nothing more is made.
  let seen = -1
  while (seen !== made.count) {
    seen = made.count
    await new Promise((resolve) => setTimeout(resolve, 200))
  }
  assert(made.count > 0 && made.count < 130, `${made.count} chunks of 100 kB`)
  connection.socket.resume()
  assert.equal((await connection.reply()).body.length, 150 * line.length)
  connection.close()
})

test('a client that takes nothing is cut, and its stream ended', async (t) => {
  const made = { count: 0, ended: false }
  const { port, warnings } = await streaming(
    t,
    () => reply(endless(made, Buffer.alloc(1_000_000))),
    {
      streamStallMs: 200,
    },
  )
  const connection = await RawConnection.open(port)
  connection.socket.pause()
  connection.send(get())
  await until(() => made.ended)
  assert.match(warnings.join(), /takes nothing of its stream/)
  connection.close()
})

test('a client that leaves ends its stream at once, even while a chunk is awaited', async (t) => {
  const body = new HandedStream()
  let request: HttpRequest | undefined
  const { port, errors, warnings } = await streaming(t, (one) => {
    request = one
    return reply(body)
  })
  const connection = await RawConnection.open(port)
  connection.send(get())
  await body.untilAsked(1)
  const signal = request?.signal
  assert(signal)
  const aborted = once(signal, 'abort')
  body.give('one\n')
  await connection.until('one\n')
  await body.untilAsked(2)
  connection.close()
  await Promise.all([aborted, body.returned])
  // Whatever the maker does now, nobody is there to see it.
  body.break(new Error('interrupted'))
  assert.equal((await exchange(port, get('/alive'))).body, 'alive')
  assert.deepEqual([body.asked, errors, warnings], [2, [], []])
})

test('a client that leaves before the first chunk ends its stream as well', async (t) => {
  const body = new HandedStream()
  const { port } = await streaming(t, () => reply(body))
  const connection = await RawConnection.open(port)
  connection.send(get())
  await body.untilAsked(1)
  connection.close()
  await body.returned
})

test('a stream that fails halfway cuts its connection: half is never the whole', async (t) => {
  const body = new HandedStream()
  const { port, errors, warnings } = await streaming(t, () => reply(body))
  const connection = await RawConnection.open(port)
  for (const [error, log] of [
    [new Error('a bug of ours'), errors],
    [new LedgerError('DATABASE_UNAVAILABLE', 'The database is gone.'), warnings],
  ] as const) {
    const asked = body.asked
    const client = log === errors ? connection : await RawConnection.open(port)
    client.send(get())
    await body.untilAsked(asked + 1)
    body.give('half\n')
    await client.until('half\n')
    await body.untilAsked(asked + 2)
    body.break(error)
    assert.doesNotMatch(await client.rest(), /0\r\n\r\n$/)
    assert.match(log.join(), new RegExp(error.message))
  }
})

test('a stream that fails before its first chunk is answered as a handler that fails', async (t) => {
  let error = new Error('a secret of the house')
  const failing: Stream = {
    [Symbol.asyncIterator]: () => ({ next: () => Promise.reject(error) }),
  }
  const { port, errors } = await streaming(t, () => reply(failing))
  const bug = await exchange(port, get())
  assert.equal(bug.status, 500)
  assert.doesNotMatch(bug.body, /secret/)
  assert.match(errors.join(), /a secret of the house/)
  error = new LedgerError('DATABASE_UNAVAILABLE', 'The database is gone.')
  const unavailable = await exchange(port, get())
  assert.equal(unavailable.status, 503)
  assert.equal(unavailable.headers.get('content-type'), 'application/problem+json')
  assert.equal(unavailable.headers.get('retry-after'), '1')
})

test('past the streams that may be open, 503, until one of them is over', async (t) => {
  const bodies = [new HandedStream(), new HandedStream(), new HandedStream(), new HandedStream()]
  let next = 0
  const { port } = await streaming(t, () => reply(bodies[next++]), {
    streamsMax: 2,
  })
  const clients = []
  for (const body of bodies.slice(0, 2)) {
    const client = await RawConnection.open(port)
    client.send(get())
    await body.untilAsked(1)
    clients.push(client)
  }
  const refused = await exchange(port, get())
  assert.equal(refused.status, 503)
  assert.equal(refused.headers.get('retry-after'), '1')
  assert.equal(bodies[2]?.asked, 0)
  clients[0]?.close()
  await bodies[0]?.returned
  const last = await RawConnection.open(port)
  last.send(get())
  await bodies[3]?.untilAsked(1)
  for (const client of [...clients, last]) client.close()
})

test('closing waits for a stream to end', async (t) => {
  const body = new HandedStream()
  const { server, port } = await streaming(t, () => reply(body))
  const connection = await RawConnection.open(port)
  connection.send(get())
  await body.untilAsked(1)
  const closed = server.close(AbortSignal.timeout(20_000))
  body.give('last\n')
  await body.untilAsked(2)
  body.end()
  assert.equal((await connection.reply()).body, 'last\n')
  await connection.closed
  await closed
})

test('closing ends an endless stream in order, between two chunks', async (t) => {
  const body = new HandedStream()
  const { server, port } = await streaming(t, () => reply(body, { isEndless: true }))
  const connection = await RawConnection.open(port)
  connection.send(get())
  await body.untilAsked(1)
  body.give('event\n')
  await body.untilAsked(2)
  await server.close(AbortSignal.timeout(20_000))
  assert.equal((await connection.reply()).body, 'event\n')
  await Promise.all([connection.closed, body.returned])
})

test('closing cuts a stream that takes longer than it may', async (t) => {
  const made = { count: 0, ended: false }
  const { server, port } = await streaming(t, () => reply(endless(made, bytes('more\n'))))
  const connection = await RawConnection.open(port)
  connection.send(get())
  await connection.until('more\n')
  await server.close(AbortSignal.abort())
  assert.doesNotMatch(await connection.rest(), /0\r\n\r\n$/)
  await until(() => made.ended)
})

test('a client waits for a slow stream as long as it likes', async (t) => {
  const body = new HandedStream()
  const { port } = await streaming(t, () => reply(body))
  const connection = await RawConnection.open(port)
  connection.send(get())
  await body.untilAsked(1)
  body.give('one\n')
  await body.untilAsked(2)
  // uWebSockets.js cuts clients that are slow after 12 s at the latest; this one is not.
  await new Promise((resolve) => setTimeout(resolve, 13_000))
  body.give('two\n')
  await body.untilAsked(3)
  body.end()
  assert.equal((await connection.reply()).body, 'one\ntwo\n')
  connection.close()
})

test('a body that is not read before a stream is refused, and its connection closed', async (t) => {
  const body = new HandedStream()
  const { port } = await streaming(t, () => reply(body))
  const connection = await RawConnection.open(port)
  connection.send('GET /stream HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n')
  assert.equal((await connection.reply()).status, 400)
  await connection.closed
  assert.equal(body.asked, 0)
})

test('304 has its headers, no body and a connection to go on with', async (t) => {
  const headers = { ETag: '"x"', 'Cache-Control': 'private, no-cache' }
  const { port } = await streaming(t, () => ({ status: 304, contentType: '', headers, body: '' }))
  const connection = await RawConnection.open(port)
  connection.send(get())
  const reply = await connection.reply({ withoutBody: true })
  assert.equal(reply.status, 304)
  assert.equal(reply.headers.get('etag'), '"x"')
  assert.equal(reply.headers.get('cache-control'), 'private, no-cache')
  assert.equal(reply.headers.has('content-type'), false)
  assert.equal(reply.headers.has('content-length'), false)
  connection.send(get('/alive'))
  assert.equal((await connection.reply()).body, 'alive')
  connection.close()
})

test('a route that produces several types is refused where Accept admits none of them', async (t) => {
  const { port } = await streaming(t, () => text('a,b'))
  const ask = (accept: string) =>
    exchange(port, `GET /stream HTTP/1.1\r\nHost: x\r\nAccept: ${accept}\r\n\r\n`)
  assert.equal((await ask('text/csv')).status, 200)
  const refused = await ask('text/html')
  assert.equal(refused.status, 406)
  assert.match(refused.body, /"expected":"application\/x-ndjson or text\/csv"/)
})
