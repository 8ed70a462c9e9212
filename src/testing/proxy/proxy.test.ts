// What the proxy does to a connection is what it says, and nothing else happens to the bytes.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { type TestContext, test } from 'node:test'
import { Proxy } from './proxy.ts'

/** Both ends of a connection through a proxy, and what each of them has got. */
class Line {
  readonly proxy: Proxy
  readonly client: End
  readonly server: End

  constructor(proxy: Proxy, client: End, server: End) {
    this.proxy = proxy
    this.client = client
    this.server = server
  }

  static async open(t: TestContext): Promise<Line> {
    const listener = createServer({ allowHalfOpen: true })
    listener.on('connection', (socket) => socket.on('error', () => undefined))
    listener.listen(0, '127.0.0.1')
    await once(listener, 'listening')
    const { port } = listener.address() as { port: number }
    const proxy = await Proxy.start({ port })
    const accepted = once(listener, 'connection') as Promise<[Socket]>
    const client = new End(connect({ port: proxy.port, host: '127.0.0.1', allowHalfOpen: true }))
    const server = new End((await accepted)[0])
    t.after(async () => {
      client.socket.destroy()
      server.socket.destroy()
      listener.close()
      await proxy.close()
    })
    return new Line(proxy, client, server)
  }
}

class End {
  readonly socket: Socket
  received = Buffer.alloc(0)
  /** `finish` or the code of an error. */
  end: string | undefined
  #wake: () => void = () => undefined

  constructor(socket: Socket) {
    this.socket = socket
    socket.on('data', (chunk: Buffer) => {
      this.received = Buffer.concat([this.received, chunk])
      this.#wake()
    })
    socket.on('end', () => this.#ended('finish'))
    socket.on('error', ({ code }: NodeJS.ErrnoException) => this.#ended(code ?? ''))
  }

  async has(bytes: number): Promise<void> {
    while (this.received.length < bytes) await this.#change()
  }

  async ended(): Promise<string> {
    while (this.end === undefined) await this.#change()
    return this.end
  }

  #ended(how: string): void {
    this.end ??= how
    this.#wake()
  }

  #change(): Promise<void> {
    return new Promise((resolve) => (this.#wake = resolve))
  }
}

/** Comes back from the other side, so that everything sent before it would have come as well. */
async function roundTrip(from: End, to: End, ...back: [End, End] | []): Promise<void> {
  const before = to.received.length
  from.socket.write('!')
  await to.has(before + 1)
  if (back.length === 2) await roundTrip(back[0], back[1])
}

test('bytes pass as they are, both ways, and an end of one direction ends no other', async (t) => {
  const { client, server } = await Line.open(t)
  const sent = Buffer.alloc(5_000_000, 'abcdefg')
  client.socket.end(sent)
  assert.equal(await server.ended(), 'finish')
  assert(server.received.equals(sent))
  server.socket.end('the reply')
  assert.equal(await client.ended(), 'finish')
  assert.equal(client.received.toString(), 'the reply')
})

test('a reset of one end resets the other', async (t) => {
  const { client, server } = await Line.open(t)
  await roundTrip(client, server)
  client.socket.resetAndDestroy()
  assert.equal(await server.ended(), 'ECONNRESET')
})

test('a cut is an RST or a FIN at both ends', async (t) => {
  for (const [how, seen] of [
    ['reset', 'ECONNRESET'],
    ['finish', 'finish'],
  ] as const) {
    const { proxy, client, server } = await Line.open(t)
    await roundTrip(client, server)
    assert.equal(proxy.cut(how), 1)
    assert.equal(await client.ended(), seen)
    assert.equal(await server.ended(), seen)
  }
})

test('a delay holds every byte back for so long, and not one for another', async (t) => {
  const { proxy, client, server } = await Line.open(t)
  proxy.set({ delayMs: 200 })
  const since = performance.now()
  for (let i = 1; i <= 10; i++) await new Promise((resolve) => client.socket.write('x', resolve))
  await server.has(10)
  const took = performance.now() - since
  assert(took >= 199 && took < 1000, `${took} ms`)
})

test('a throttle lets so many bytes a second through', async (t) => {
  const { proxy, client, server } = await Line.open(t)
  proxy.set({ bytesPerSecond: 100_000 })
  const since = performance.now()
  client.socket.write(Buffer.alloc(50_000))
  await server.has(50_000)
  const took = performance.now() - since
  assert(took >= 400 && took < 2000, `${took} ms`)
})

test('what one direction swallows arrives once it is healed; the other goes on', async (t) => {
  const { proxy, client, server } = await Line.open(t)
  proxy.set({ swallows: ['requests'] })
  client.socket.write('lost?')
  await roundTrip(server, client)
  await roundTrip(server, client)
  assert.equal(server.received.toString(), '')
  proxy.heal()
  await server.has(5)
  assert.equal(server.received.toString(), 'lost?')
})

test('behind a swallowing direction even a reset is not heard of', async (t) => {
  const { proxy, client, server } = await Line.open(t)
  await roundTrip(client, server)
  proxy.set({ swallows: ['requests'] })
  client.socket.resetAndDestroy()
  await once(client.socket, 'close')
  const other = new End(connect({ port: proxy.port, host: '127.0.0.1' }))
  t.after(() => other.socket.destroy())
  await once(other.socket, 'connect')
  assert.equal(server.end, undefined)
  proxy.heal()
  assert.equal(await server.ended(), 'ECONNRESET')
})

test('of a halved message the first half arrives, in its place, and no more', async (t) => {
  const { proxy, client, server } = await Line.open(t)
  client.socket.write('before ')
  await server.has(7)
  const halved = proxy.halve('requests', 10)
  client.socket.write('short ')
  await server.has(13)
  client.socket.write('first half second half')
  await halved
  assert.equal(await server.ended(), 'finish')
  assert.equal(server.received.toString(), 'before short first half ')
  assert.equal(await client.ended(), 'ECONNRESET')
})

test('where connections are refused, open ones go on', async (t) => {
  const { proxy, client, server } = await Line.open(t)
  proxy.set({ refuses: true })
  const refused = new End(connect({ port: proxy.port, host: '127.0.0.1' }))
  assert.equal(await refused.ended(), 'ECONNRESET')
  await roundTrip(client, server, server, client)
})

test('a connection to nobody is reset, and the proxy goes on', async (t) => {
  const listener = createServer().listen(0, '127.0.0.1')
  await once(listener, 'listening')
  const { port } = listener.address() as { port: number }
  await once(listener.close(), 'close')
  const proxy = await Proxy.start({ port })
  t.after(() => proxy.close())
  for (let i = 0; i < 2; i++) {
    const refused = new End(connect({ port: proxy.port, host: '127.0.0.1' }))
    assert.equal(await refused.ended(), 'ECONNRESET')
  }
})
