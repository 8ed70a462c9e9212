import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import pino from 'pino'
import { LedgerError } from '../errors.ts'
import { serve, type Served, type ServedOptions } from '../testing/served.ts'
import { exchange, RawConnection, type RawReply } from '../testing/raw-http.ts'
import { ByteBudget } from './budget.ts'
import type { HttpReply, HttpRequest, Route } from './http.ts'
import { startHttpServer } from './server.ts'

function text(body: string | Uint8Array): HttpReply {
  return { status: 200, contentType: 'application/json', body }
}

const routes: Route[] = [
  {
    method: 'POST',
    path: '/echo',
    accepts: ['application/json', 'application/x-protobuf'],
    handle: (request) => text(Uint8Array.from(request.body)),
  },
  {
    method: 'GET',
    path: '/things/{name}',
    headers: ['x-color'],
    handle: async (request) => {
      await Promise.resolve()
      return text([...request.parameters, request.query.get('q'), request.header('x-color')].join())
    },
  },
  { method: 'GET', path: '/text', produces: 'text/plain', handle: () => text('plain') },
  {
    method: 'GET',
    path: '/full',
    handle: () => Promise.reject(new LedgerError('LOG_FULL', 'The disk budget is used up.')),
  },
  {
    method: 'GET',
    path: '/bug',
    handle: () => {
      throw new Error('a secret of the house')
    },
  },
]

function started(t: TestContext, options: Partial<ServedOptions> = {}): Promise<Served> {
  return serve(t, { routes, ...options })
}

function post(body: string, headers: string[] = [`Content-Length: ${Buffer.byteLength(body)}`]) {
  const type = headers.some((line) => /^content-type/i.test(line))
    ? []
    : ['Content-Type: application/json']
  return ['POST /echo HTTP/1.1', 'Host: x', ...type, ...headers, '', body].join('\r\n')
}

function problemIn(reply: RawReply): Record<string, unknown> {
  assert.equal(reply.headers.get('content-type'), 'application/problem+json')
  const document = JSON.parse(reply.body) as Record<string, unknown>
  assert.equal(document['status'], reply.status)
  for (const member of ['type', 'title', 'detail']) assert.equal(typeof document[member], 'string')
  return document
}

test('a body comes back as it was sent, whatever pieces it arrives in', async (t) => {
  const { port, budget } = await started(t)
  const body = 'x'.repeat(300_000) + 'end'
  const connection = await RawConnection.open(port)
  const request = post(body)
  for (let at = 0; at < request.length; at += 7001) connection.send(request.slice(at, at + 7001))
  const reply = await connection.reply()
  assert.equal(reply.status, 200)
  assert(reply.body === body)
  connection.send(post('[]'))
  assert.equal((await connection.reply()).body, '[]')
  assert.equal(budget.taken, 0)
  connection.close()
})

test('a chunked body is accepted', async (t) => {
  const { port } = await started(t)
  const connection = await RawConnection.open(port)
  connection.send(post('', ['Transfer-Encoding: chunked']))
  connection.send('5\r\nhello\r\n')
  connection.send('0007\r\n, world\r\n0\r\n')
  connection.send('\r\n')
  assert.equal((await connection.reply()).body, 'hello, world')
  connection.close()
})

test('a body announced with Expect: 100-continue is asked for and taken', async (t) => {
  const { port } = await started(t)
  const connection = await RawConnection.open(port)
  connection.send(post('', ['Content-Length: 2', 'Expect: 100-continue']))
  assert.equal((await connection.reply()).status, 100)
  connection.send('hi')
  assert.equal((await connection.reply()).body, 'hi')
  connection.close()
})

test('a body without a byte reaches the handler, which may refuse it', async (t) => {
  const { port } = await started(t)
  assert.equal((await exchange(port, post(''))).body, '')
  assert.equal((await exchange(port, post('', []))).status, 200)
})

test('parameters, query and headers reach the handler', async (t) => {
  const { port } = await started(t)
  const request = 'GET /things/a%20b?q=%C3%A9 HTTP/1.1\r\nHost: x\r\nX-Color: red\r\n\r\n'
  const reply = await exchange(port, request)
  assert.equal(Buffer.from(reply.body, 'latin1').toString(), 'a b,é,red')
  const broken = await exchange(port, 'GET /things/%zz HTTP/1.1\r\nHost: x\r\n\r\n')
  assert.equal(broken.status, 400)
  assert.match(String(problemIn(broken)['detail']), /percent-encoded/)
})

test('HEAD answers as GET does, without the body', async (t) => {
  const { port } = await started(t)
  const connection = await RawConnection.open(port)
  const request = (method: string): string => `${method} /things/abc HTTP/1.1\r\nHost: x\r\n\r\n`
  connection.send(request('HEAD'))
  const head = await connection.reply({ withoutBody: true })
  connection.send(request('GET'))
  const get = await connection.reply()
  assert.equal(head.status, 200)
  const comparable = (reply: RawReply): string[] =>
    [...reply.headers].flatMap(([name, value]) => (name === 'date' ? [] : [`${name}: ${value}`]))
  assert.deepEqual(comparable(head).sort(), comparable(get).sort())
  assert.equal(get.headers.get('content-length'), String(get.body.length))
  connection.close()
})

test('an unknown path is 404, a method that does not fit is 405 with Allow', async (t) => {
  const { port } = await started(t)
  const ask = (line: string): Promise<RawReply> =>
    exchange(port, `${line} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n`)
  assert.equal(problemIn(await ask('GET /nowhere'))['type'], '/problems/not-found')
  for (const method of ['GET', 'PUT', 'DELETE', 'PATCH', 'OPTIONS', 'BREW', 'post']) {
    const reply = await ask(`${method} /echo`)
    assert.equal(reply.status, 405, method)
    assert.equal(reply.headers.get('allow'), 'POST')
  }
  assert.equal((await ask('POST /things/a')).headers.get('allow'), 'GET, HEAD')
})

test('a body of another type or coding is 415, naming what is accepted', async (t) => {
  const { port } = await started(t)
  const accepted = [
    'application/json',
    'Application/JSON; Charset=UTF-8',
    'application/x-protobuf',
    'application/json; profile=x',
  ]
  for (const type of accepted) {
    const reply = await exchange(port, post('hi', ['Content-Length: 2', `Content-Type: ${type}`]))
    assert.equal(reply.status, 200, type)
  }
  const refused = ['', 'text/plain', 'application/json; charset=latin1', 'application/jsonx']
  for (const type of refused) {
    const reply = await exchange(port, post('hi', ['Content-Length: 2', `Content-Type: ${type}`]))
    assert.equal(reply.status, 415, type)
    assert.equal(problemIn(reply)['expected'], 'application/json or application/x-protobuf')
  }
  const none = 'POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi'
  assert.equal((await exchange(port, none)).status, 415)
  const gzip = await exchange(port, post('hi', ['Content-Length: 2', 'Content-Encoding: gzip']))
  assert.equal(gzip.status, 415)
  assert.equal(gzip.headers.get('accept-encoding'), 'identity')
  const identity = post('hi', ['Content-Length: 2', 'Content-Encoding: identity'])
  assert.equal((await exchange(port, identity)).status, 200)
})

test('an Accept header that leaves no room for the answer is 406', async (t) => {
  const { port } = await started(t)
  const ask = (path: string, accept: string): Promise<RawReply> =>
    exchange(port, `GET ${path} HTTP/1.1\r\nHost: x\r\nAccept: ${accept}\r\n\r\n`)
  assert.equal((await ask('/things/a', 'text/html, */*;q=0.1')).status, 200)
  const refused = await ask('/things/a', 'text/html')
  assert.equal(refused.status, 406)
  assert.equal(problemIn(refused)['expected'], 'application/json')
  assert.equal((await ask('/text', 'text/plain')).status, 200)
})

test('a refusal leaves the connection as it was, its body skipped', async (t) => {
  const { port } = await started(t)
  const connection = await RawConnection.open(port)
  connection.send(post('y'.repeat(100_000), ['Content-Length: 100000', 'Content-Type: a/b']))
  assert.equal((await connection.reply()).status, 415)
  connection.send(post('next'))
  assert.equal((await connection.reply()).body, 'next')
  connection.close()
})

test('a body over the limit is 413 before it is sent', async (t) => {
  const { port } = await started(t, { bodyBytesMax: 1000 })
  const reply = await exchange(port, post('', ['Content-Length: 1001']))
  assert.equal(reply.status, 413)
  assert.equal(reply.headers.get('connection'), 'close')
  assert.equal(problemIn(reply)['expected'], 'at most 1000 bytes')
  assert.equal((await exchange(port, post('z'.repeat(1000)))).status, 200)
})

test('a client that goes on sending a body over the limit sees the 413', async (t) => {
  const { url } = await started(t, { bodyBytesMax: 1000 })
  for (const size of [1001, 600_000, 3_000_000]) {
    const reply = await fetch(`${url}/echo`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: new Uint8Array(size),
    })
    assert.equal(reply.status, 413, `${size}`)
    await reply.text()
  }
})

test('a body beyond all measure is 413 and the connection closed', async (t) => {
  const { port } = await started(t)
  const connection = await RawConnection.open(port)
  connection.send(post('', ['Content-Length: 9999999999']))
  assert.equal((await connection.reply()).status, 413)
  await connection.closed
})

test('a chunked body over the limit is 413, and holds nothing', async (t) => {
  const { port, budget } = await started(t, { bodyBytesMax: 1000 })
  const connection = await RawConnection.open(port)
  connection.send(post('', ['Transfer-Encoding: chunked']))
  for (let i = 0; i < 20; i++) connection.send(`64\r\n${'c'.repeat(100)}\r\n`)
  connection.send('0\r\n\r\n')
  assert.equal((await connection.reply()).status, 413)
  assert.equal(budget.taken, 0)
  connection.close()
})

test('a chunked body without end is 413 and the connection closed', async (t) => {
  const { port } = await started(t, { bodyBytesMax: 1000 })
  const connection = await RawConnection.open(port)
  connection.send(post('', ['Transfer-Encoding: chunked']))
  const chunk = `100000\r\n${'c'.repeat(0x100000)}\r\n`
  for (let i = 0; i < 18; i++) connection.send(chunk)
  assert.equal((await connection.reply()).status, 413)
  await connection.closed
})

test('past the bytes that may be under way a request is 503, asked to try again', async (t) => {
  const { port, budget } = await started(t, { inflightBytesMax: 1500 })
  const first = await RawConnection.open(port)
  first.send(post('a'.repeat(500), ['Content-Length: 1000']))
  while (budget.taken < 1000) await new Promise(setImmediate)
  const second = await exchange(port, post('', ['Content-Length: 1000']))
  assert.equal(second.status, 503)
  assert.equal(second.headers.get('retry-after'), '1')
  assert.equal(problemIn(second)['type'], '/problems/overloaded')
  first.send('a'.repeat(500))
  assert.equal((await first.reply()).status, 200)
  assert.equal((await exchange(port, post('b'.repeat(1000)))).status, 200)
  first.close()
})

test('a body that finds no room halfway is 503 at once, and its connection goes on', async (t) => {
  const { port, budget } = await started(t, { inflightBytesMax: 3500, bodyBytesMax: 4000 })
  const [first, second] = [await RawConnection.open(port), await RawConnection.open(port)]
  for (const each of [first, second]) {
    each.send(post('a'.repeat(100), ['Content-Length: 2000']))
  }
  while (budget.taken < 2 * 1024) await new Promise(setImmediate)
  second.send('a'.repeat(1000))
  while (budget.taken < 1024 + 2000) await new Promise(setImmediate)
  first.send('a'.repeat(1000))
  assert.equal((await first.reply()).status, 503)
  assert.equal(budget.taken, 2000)
  first.send('a'.repeat(900))
  first.send(post('[]'))
  assert.deepEqual(await first.reply().then(({ status, body }) => [status, body]), [200, '[]'])
  second.send('a'.repeat(900))
  assert.equal((await second.reply()).status, 200)
  for (const each of [first, second]) each.close()
})

test('an expected error becomes its problem, any other a 500 that tells nothing', async (t) => {
  const { port, errors } = await started(t)
  const full = await exchange(port, 'GET /full HTTP/1.1\r\nHost: x\r\n\r\n')
  assert.equal(full.status, 503)
  assert.equal(full.headers.get('retry-after'), '1')
  assert.equal(problemIn(full)['detail'], 'The disk budget is used up.')
  assert.equal(errors.length, 0)
  const bug = await exchange(port, 'GET /bug HTTP/1.1\r\nHost: x\r\n\r\n')
  assert.equal(bug.status, 500)
  assert.doesNotMatch(bug.body, /secret/)
  assert.match(errors.join(), /a secret of the house/)
})

test('thousands of requests on one connection are all answered', async (t) => {
  const { port } = await started(t)
  const connection = await RawConnection.open(port)
  for (let i = 0; i < 3000; i++) {
    connection.send(post(`[${i}]`))
    assert.equal((await connection.reply()).body, `[${i}]`)
  }
  connection.close()
})

test('a port in use is refused, naming the flag, the address and the reason', async (t) => {
  const { port, server } = await started(t)
  const attempt = (host: string, at: number): Promise<unknown> =>
    startHttpServer({
      listen: { host, port: at },
      routes,
      limits: { bodyBytesMax: 1000, bodyDeadlineMs: 1000 },
      budget: new ByteBudget(1000),
      logger: pino({ level: 'silent' }),
    })
  const pattern = new RegExp(`^--listen ${server.address}: .*already in use`)
  await assert.rejects(attempt('127.0.0.1', port), { code: 'LISTEN_FAILED', message: pattern })
  await assert.rejects(attempt('192.0.2.1', 0), {
    code: 'LISTEN_FAILED',
    message: /does not have that address/,
  })
})

/** A route whose answer the test gives. */
function heldRoute(): { route: Route; arrived: Promise<HttpRequest>; answer: () => void } {
  let arrive: (request: HttpRequest) => void = () => undefined
  let answer: (reply: HttpReply) => void = () => undefined
  const arrived = new Promise<HttpRequest>((resolve) => (arrive = resolve))
  const answered = new Promise<HttpReply>((resolve) => (answer = resolve))
  const handle = (request: HttpRequest): Promise<HttpReply> => {
    arrive(request)
    return answered
  }
  const route: Route = { method: 'GET', path: '/held', handle }
  return { route, arrived, answer: () => answer(text('in time')) }
}

const getHeld = 'GET /held HTTP/1.1\r\nHost: x\r\n\r\n'

test('closing waits for answers under way, and takes no new connection', async (t) => {
  const { route, arrived, answer } = heldRoute()
  const { server, port } = await serve(t, { routes: [route] })
  const connection = await RawConnection.open(port)
  connection.send(getHeld)
  await arrived
  const closed = server.close(AbortSignal.timeout(20_000))
  await assert.rejects(RawConnection.open(port), { code: 'ECONNREFUSED' })
  answer()
  assert.equal((await connection.reply()).body, 'in time')
  await connection.closed
  await closed
})

test('closing does not wait longer than it may', async (t) => {
  const { route, arrived } = heldRoute()
  const { server, port } = await serve(t, { routes: [route] })
  const connection = await RawConnection.open(port)
  connection.send(getHeld)
  const { signal } = await arrived
  await server.close(AbortSignal.abort())
  await connection.closed
  assert(signal.aborted)
})

test('a client that leaves while its answer is made does no harm', async (t) => {
  const { route, arrived, answer } = heldRoute()
  const { port } = await serve(t, { routes: [...routes, route] })
  const connection = await RawConnection.open(port)
  connection.send(getHeld)
  const { signal } = await arrived
  const gone = new Promise((resolve) => signal.addEventListener('abort', resolve))
  connection.close()
  await gone
  answer()
  assert.equal((await exchange(port, post('still here'))).body, 'still here')
})

test('a request sent behind one that is not answered yet ends the connection', async (t) => {
  const { route, arrived } = heldRoute()
  const { port } = await serve(t, { routes: [route] })
  const connection = await RawConnection.open(port)
  connection.send(getHeld + getHeld)
  assert.equal(await connection.rest(), '')
  assert((await arrived).signal.aborted)
})
