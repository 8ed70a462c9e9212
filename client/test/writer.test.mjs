import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Ledger, RefusedError } from '../../dist/client/index.js'
import { problem, scriptedServer, taken } from './support.mjs'

const account_id = '7d7b4bd1-1f4f-4c5b-8a3e-0d6f7f0a1b2c'
const sizes = (requests) => requests.map(({ body }) => JSON.parse(body).length)

test('transactions go out when a batch is full, and the rest after a while', async (t) => {
  const { url, requests } = await scriptedServer(t, [taken])
  const writer = new Ledger({ url }).writer({ maxItems: 10, maxWaitMs: 20 })
  const added = []
  for (let i = 0; i < 25; i++) added.push(await writer.add({ account_id, amount: BigInt(i) }))
  await Promise.all(added.map(({ durable }) => durable))
  assert.deepEqual(sizes(requests).toSorted(), [10, 10, 5].toSorted())
  const sent = requests.flatMap(({ body }) => JSON.parse(body)).map(({ id }) => id)
  assert.deepEqual(
    sent.toSorted(),
    added.map(({ id }) => id),
  )
})

test('a full queue makes add() wait', async () => {
  let release
  const gate = new Promise((resolve) => (release = resolve))
  const writer = new Ledger({
    url: 'http://ledger.test',
    fetch: async (_, { body }) => {
      await gate
      return Response.json(taken(JSON.parse(body)).body, { status: 202 })
    },
  }).writer({ maxItems: 10, maxQueued: 30, maxInFlight: 2 })
  let added = 0
  const adding = (async () => {
    for (; added < 100; added++) await writer.add({ account_id, amount: 1n })
  })()
  await new Promise((resolve) => setTimeout(resolve, 50))
  assert.equal(added, 30)
  release()
  await adding
  await writer.close()
  assert.equal(added, 100)
})

test('a refused transaction fails alone, and flush() tells of it', async (t) => {
  const refuseNegative = (sent) => {
    const index = sent.findIndex(({ amount }) => amount.startsWith('-'))
    return index < 0 ? taken(sent) : problem(400, { index })
  }
  const { url, requests } = await scriptedServer(t, [refuseNegative])
  const writer = new Ledger({ url }).writer()
  const amounts = [1n, -2n, 3n, -4n, 5n]
  const added = []
  for (const amount of amounts) added.push(await writer.add({ account_id, amount }))
  await assert.rejects(writer.flush(), RefusedError)
  const outcomes = await Promise.allSettled(added.map(({ durable }) => durable))
  assert.deepEqual(
    outcomes.map(({ status }) => status),
    ['fulfilled', 'rejected', 'fulfilled', 'rejected', 'fulfilled'],
  )
  assert.deepEqual(sizes(requests), [5, 4, 3])
  await writer.flush()
})

test('a closed writer has sent everything, and takes nothing more', async (t) => {
  const { url, requests } = await scriptedServer(t, [taken])
  const writer = new Ledger({ url }).writer({ maxWaitMs: 60_000 })
  await writer.add({ account_id, amount: 1n })
  await writer.close()
  assert.deepEqual(sizes(requests), [1])
  await assert.rejects(writer.add({ account_id, amount: 1n }), /closed/)
})

test('options out of bounds are refused', () => {
  const ledger = new Ledger({ url: 'http://ledger.test' })
  for (const maxItems of [0, 5001, 1.5]) {
    assert.throws(() => ledger.writer({ maxItems }), /maxItems: expected/)
  }
})
