// A bare HTTP server stands in for ingress here: what is tested is the client.

import assert from 'node:assert/strict'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { test } from 'node:test'
import { Client } from './client.ts'
import { Generator, confusedShape, plainShape } from './generate.ts'
import { History, fateOf } from './history.ts'
import { deliverAll, startLoad } from './load.ts'
import { Random } from './random.ts'
import { uuidText } from './uuid-text.ts'

type Handle = (body: Buffer, response: ServerResponse, request: IncomingMessage) => void

async function withServer(handle: Handle, run: (base: string) => Promise<void>): Promise<void> {
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => handle(Buffer.concat(chunks), response, request))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  try {
    await run(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
  } finally {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  }
}

function accept(response: ServerResponse, items: number): void {
  response.writeHead(202, { 'content-type': 'application/json' })
  response.end(JSON.stringify({ accepted: items, receipt: 'r' }))
}

interface Item {
  id: string
  account_id: string
  amount: string
}

/** Integer tokens are made strings first: a double would not hold every one of them. */
function itemsOf(body: Buffer): Item[] {
  const text = body.toString().replaceAll(/"amount":(-?\d+)/g, '"amount":"$1"')
  return JSON.parse(text) as Item[]
}

function setUp(base: string, seed = 1, shape = plainShape) {
  const history = new History()
  const generator = new Generator(history, new Random(seed), shape)
  const client = new Client({ name: 'a', history, targets: () => [base], timeoutMs: 300 })
  return { history, generator, client }
}

test('a JSON body holds exactly the items of the history', async () => {
  let seen: Item[] = []
  await withServer(
    (body, response) => {
      seen = itemsOf(body)
      accept(response, seen.length)
    },
    async (base) => {
      const { history, generator, client } = setUp(base)
      const batch = generator.batch()
      assert.equal(await client.send(batch), 'acknowledged')
      assert.equal(seen.length, batch.count)
      for (const [i, item] of seen.entries()) {
        assert.equal(item.id, uuidText(history.idOf(i)))
        assert.equal(item.account_id, uuidText(history.accountOf(i)))
        assert.equal(item.amount, String(history.amountOf(i)))
      }
      assert.deepEqual(history.faults, [])
      client.close()
    },
  )
})

test('a cut connection leaves the batch unanswered, and the same bytes are sent again', async () => {
  const bodies: string[] = []
  await withServer(
    (body, response, request) => {
      bodies.push(body.toString('latin1'))
      if (bodies.length === 1) request.socket.destroy()
      else accept(response, itemsOf(body).length)
    },
    async (base) => {
      const { generator, client } = setUp(base)
      const batch = generator.batch()
      assert.equal(await client.send(batch), 'unanswered')
      assert.equal(fateOf(batch), 'possible')
      assert.equal(await client.deliver(batch), 'acknowledged')
      assert.equal(fateOf(batch), 'acknowledged')
      assert.equal(bodies[0], bodies[1])
      assert.equal(batch.attempts.length, 2)
      client.close()
    },
  )
})

test('a 503 and a silent server leave a batch unanswered, a 400 refuses it', async () => {
  const statuses = [503, undefined, 400]
  await withServer(
    (_, response) => {
      const status = statuses.shift()
      if (status !== undefined) response.writeHead(status).end('{}')
    },
    async (base) => {
      const { history, generator, client } = setUp(base)
      const batch = generator.batch()
      assert.equal(await client.deliver(batch), 'refused')
      assert.deepEqual(history.answers(), {
        pending: 0,
        acknowledged: 0,
        refused: 1,
        unanswered: 2,
      })
      client.close()
    },
  )
})

test('an acknowledgement of another number of items is noted as a fault', async () => {
  await withServer(
    (_, response) => accept(response, 7),
    async (base) => {
      const { history, generator, client } = setUp(base)
      let batch = generator.batch()
      while (batch.count === 7) batch = generator.batch()
      await client.send(batch)
      assert.equal(history.faults.length, 1)
      client.close()
    },
  )
})

test('several clients share a history, and every content is in exactly one batch', async () => {
  await withServer(
    (body, response) => accept(response, itemsOf(body).length),
    async (base) => {
      const { history, generator, client } = setUp(base, 2, confusedShape)
      const other = new Client({ name: 'b', history, targets: () => [base] })
      const clients = [client, other]
      const random = new Random(3)
      const load = startLoad({
        clients,
        generator,
        random,
        abandonShare: 0.5,
        contentsMax: 20_000,
      })
      await load.finished
      assert.equal(history.count, 20_000)
      assert.equal(
        history.batches.reduce((sum, batch) => sum + batch.count, 0),
        history.count,
      )
      for (const batch of history.batches) {
        assert.equal(history.batchOf(batch.first), batch)
        assert.equal(history.batchOf(batch.first + batch.count - 1), batch)
      }
      const before = history.answers().acknowledged
      await deliverAll(clients, history.batches)
      assert.equal(history.answers().acknowledged, before + history.batches.length)
      for (const each of clients) each.close()
    },
  )
})

test('no request of the confused clients has two amounts for one key', () => {
  const history = new History()
  const generator = new Generator(history, new Random(4), confusedShape)
  while (history.count < 50_000) generator.batch()
  for (const batch of history.batches) {
    const amounts = new Map<string, bigint>()
    for (let i = batch.first; i < batch.first + batch.count; i++) {
      const key = uuidText(history.idOf(i)) + uuidText(history.accountOf(i))
      const amount = history.amountOf(i)
      assert.equal(amounts.get(key) ?? amount, amount)
      amounts.set(key, amount)
    }
  }
})

test('the same seed makes the same amounts on the same accounts', () => {
  const made = [1, 2].map(() => {
    const history = new History()
    new Generator(history, new Random(5), plainShape).batch()
    const { count } = history
    return { amounts: history.amounts.slice(0, count), accounts: history.accounts.slice(0, count) }
  })
  assert.deepEqual(made[0], made[1])
})
