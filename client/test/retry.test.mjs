import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { test } from 'node:test'
import {
  ContractError,
  InvalidTransactionError,
  Ledger,
  RefusedError,
  UnavailableError,
} from '../../dist/client/index.js'
import { pauseMs, retryAfterMs } from '../../dist/client/retry.js'
import { problem, scriptedServer, taken } from './support.mjs'

const account = '7d7b4bd1-1f4f-4c5b-8a3e-0d6f7f0a1b2c'
const transaction = { id: '01932c07-aaaa-7000-8000-000000000001', account_id: account, amount: 5n }
const quick = { firstMs: 1, mostMs: 5 }

for (const fault of [problem(503), problem(429), problem(500), problem(408), 'cut']) {
  const name = fault === 'cut' ? 'a connection that is cut' : `an answer of ${fault.status}`
  test(`after ${name} the same ids are sent again`, async (t) => {
    const { url, requests } = await scriptedServer(t, [fault, fault, taken])
    const ledger = new Ledger({ url, retry: quick })
    assert.deepEqual(await ledger.post([transaction]), { accepted: 1, receipt: 'r' })
    assert.equal(requests.length, 3)
    const body = `[{"id":"${transaction.id}","account_id":"${account}","amount":"5"}]`
    for (const request of requests) assert.equal(request.body, body)
  })
}

test('an attempt without an answer ends in time, and another is made', async (t) => {
  const { url, requests } = await scriptedServer(t, ['silence', taken])
  const ledger = new Ledger({ url, timeoutMs: 100, retry: quick })
  assert.equal((await ledger.post([transaction])).accepted, 1)
  assert.equal(requests.length, 2)
})

test('Retry-After is waited for', async (t) => {
  const later = { ...problem(503), headers: { 'retry-after': '1' } }
  const { url, requests } = await scriptedServer(t, [later, taken])
  await new Ledger({ url, retry: quick }).post([transaction])
  assert(requests[1].at - requests[0].at >= 1000)
})

test('Retry-After may be a date, and nothing is read into what is neither', () => {
  const now = Date.parse('2026-11-24T00:00:00Z')
  assert.equal(retryAfterMs('3', now), 3000)
  assert.equal(retryAfterMs('Tue, 24 Nov 2026 00:00:07 GMT', now), 7000)
  assert.equal(retryAfterMs('Mon, 23 Nov 2026 00:00:00 GMT', now), 0)
  assert.equal(retryAfterMs('soon', now), 0)
  assert.equal(retryAfterMs(null, now), 0)
})

test('pauses grow twofold to their limit, are spread, and are never shorter than asked', () => {
  const options = { forMs: 1, firstMs: 100, mostMs: 1000 }
  for (const [failures, full] of Object.entries({ 1: 100, 2: 200, 4: 800, 5: 1000, 99: 1000 })) {
    const pauses = Array.from({ length: 200 }, () => pauseMs(options, Number(failures), 0))
    assert(Math.min(...pauses) >= full / 2 && Math.max(...pauses) <= full, `${pauses}`)
    assert(new Set(pauses).size > 100)
    assert(pauseMs(options, Number(failures), 2000) >= 2000)
  }
})

test('what was refused is not sent again, and the error carries the problem', async (t) => {
  const members = { index: 0, field: 'amount', expected: 'an int64', found: 'more' }
  const { url, requests } = await scriptedServer(t, [problem(400, members), taken])
  const error = await rejection(new Ledger({ url, retry: quick }).post([transaction]))
  assert(error instanceof RefusedError)
  assert.equal(error.status, 400)
  assert.deepEqual(
    [error.problem.index, error.problem.field, error.problem.expected, error.problem.found],
    [0, 'amount', 'an int64', 'more'],
  )
  assert.match(error.message, /POST \/v1\/transactions: 400 because/)
  assert.equal(requests.length, 1)
})

test('when the time for retries is over the error says what the last attempt came to', async (t) => {
  const { url, requests } = await scriptedServer(t, [problem(503, { detail: 'log full' })])
  const retry = { firstMs: 10, mostMs: 10, forMs: 100 }
  const error = await rejection(new Ledger({ url, retry }).post([transaction]))
  assert(error instanceof UnavailableError)
  assert.equal(error.problem.detail, 'log full')
  assert.match(error.message, /tried \d+ times, last: 503 log full/)
  assert(requests.length > 3)
})

test('nobody listening is an error that names the reason', async () => {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address()
  await once(server.close(), 'close')
  const ledger = new Ledger({ url: `http://127.0.0.1:${port}`, retry: { forMs: 0 } })
  const error = await rejection(ledger.account(account))
  assert(error instanceof UnavailableError)
  assert.match(error.message, /tried once, last: .*ECONNREFUSED/)
})

test('an abort ends the waiting with its reason', async (t) => {
  const { url } = await scriptedServer(t, [{ ...problem(503), headers: { 'retry-after': '60' } }])
  const reason = new Error('enough')
  const aborter = new AbortController()
  const ledger = new Ledger({ url, retry: { forMs: Infinity } })
  const posting = rejection(ledger.post([transaction], { signal: aborter.signal }))
  setTimeout(() => aborter.abort(reason), 50)
  assert.equal(await posting, reason)
})

test('a transaction that no ledger would take is not sent', async (t) => {
  const { url, requests } = await scriptedServer(t, [taken])
  const ledger = new Ledger({ url })
  for (const [field, value] of [
    ['id', 'x'],
    ['account_id', '"'],
    ['amount', 5],
    ['amount', 2n ** 63n],
  ]) {
    const error = await rejection(ledger.post([{ ...transaction, [field]: value }]))
    assert(error instanceof InvalidTransactionError)
    assert.equal(error.field, field)
  }
  assert.equal(requests.length, 0)
})

test('whole numbers are exact on both ways', async (t) => {
  const account_id = account
  const balance = '123456789012345678901234567890'
  const found = { account_id, balance, count: '9007199254740993', as_of: '2026-11-24T00:00:00Z' }
  const { url, requests } = await scriptedServer(t, [taken, { status: 200, body: found }])
  const ledger = new Ledger({ url })
  await ledger.post([{ ...transaction, amount: -(2n ** 63n) }])
  assert.match(requests[0].body, /"amount":"-9223372036854775808"/)
  const answer = await ledger.account(account)
  assert.equal(answer.balance, 123456789012345678901234567890n)
  assert.equal(answer.count, 9007199254740993n)
})

test('an answer that is none of the contract is told as that', async (t) => {
  const { url } = await scriptedServer(t, [
    { status: 200, body: '<html>' },
    { status: 200, body: { balance: 1.5 } },
  ])
  const ledger = new Ledger({ url })
  assert((await rejection(ledger.account(account))) instanceof ContractError)
  assert((await rejection(ledger.account(account))) instanceof ContractError)
})

function rejection(promise) {
  return promise.then(
    () => assert.fail('expected a rejection'),
    (error) => error,
  )
}
