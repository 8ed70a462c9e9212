import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { test } from 'node:test'
import { LedgerError } from '../errors.ts'
import { requestItemsMax } from '../limits.ts'
import { HeldLog } from '../testing/held-log.ts'
import { RawConnection } from '../testing/raw-http.ts'
import {
  account,
  entriesIn,
  everyPartition,
  good,
  hexOf,
  receipts,
  run,
  running,
  second,
  uuid,
} from '../testing/ingress.ts'

test('a batch is in the log when it is acknowledged, and its receipt says where', async (t) => {
  const { log, post } = await running(t)
  const items = Array.from({ length: 300 }, (_, i) => ({
    id: randomUUID(),
    account_id: randomUUID(),
    amount: i - 150,
  }))
  const { status, document } = await post(JSON.stringify(items))
  assert.equal(status, 202)
  assert.equal(document['accepted'], 300)
  const expected = items.map((item) => hexOf(item.id, item.account_id, BigInt(item.amount)))
  assert.deepEqual((await entriesIn(log)).sort(), expected.sort())

  const decoded = receipts.decode(String(document['receipt']))
  assert(decoded.kind === 'receipt')
  const { receipt } = decoded
  assert(receipt.isOf(log.identity))
  assert.equal(receipt.count, 300)
  const ranges = await log.ranges(everyPartition)
  for (const partition of everyPartition) {
    const next = ranges.get(partition)?.next ?? 0
    const offset = receipt.records.get(partition)?.offset
    assert.equal(offset === undefined ? 0 : offset + 1, next, `partition ${partition}`)
  }
})

test('a batch in protobuf is taken as it is', async (t) => {
  const { log, post } = await running(t)
  const entry = hexOf(uuid, account, 2n ** 63n - 1n)
  const { status } = await post(Buffer.from(entry, 'hex'), 'application/x-protobuf')
  assert.equal(status, 202)
  assert.deepEqual(await entriesIn(log), [entry])
})

test('upper- and lower-case ids are the same id', async (t) => {
  const { log, post } = await running(t)
  assert.equal((await post(`[${good}]`)).status, 202)
  const upper = good.replace(uuid, uuid.toUpperCase()).replace(account, account.toUpperCase())
  assert.notEqual(upper, good)
  assert.equal((await post(`[${upper}]`)).status, 202)
  const entry = hexOf(uuid, account, -5n)
  assert.deepEqual(await entriesIn(log), [entry, entry])
})

test('as many items as a request may have are taken, and one more is not', async (t) => {
  const { log, post } = await running(t)
  const items = (count: number): string =>
    `[${Array.from({ length: count }, () => good.replace(uuid, randomUUID())).join()}]`
  assert.equal((await post(items(requestItemsMax))).document['accepted'], requestItemsMax)
  assert.equal((await post(items(requestItemsMax + 1))).status, 400)
  assert.equal((await entriesIn(log)).length, requestItemsMax)
})

const withAmount = (amount: string): string => good.replace('-5', amount)

/** Each behind an item that is in order; `at` is where the fault must be said to be. */
const malformed: [name: string, item: string, at: Record<string, unknown>][] = [
  ['an unknown key', good.replace('}', ',"note":1}'), { index: 1 }],
  ['a repeated key', good.replace('}', ',"amount":-5}'), { index: 1, field: 'amount' }],
  ['no amount', good.replace(',"amount":-5', ''), { index: 1, field: 'amount' }],
  ['no id', good.replace(`"id":"${uuid}",`, ''), { index: 1, field: 'id' }],
  ['no account', good.replace(/"account_id":"[^"]*",/, ''), { index: 1, field: 'account_id' }],
  ['an id that is cut', good.replace(uuid, uuid.slice(1)), { index: 1, field: 'id' }],
  ['an id of another alphabet', good.replace('b1c4', 'g1c4'), { index: 1, field: 'id' }],
  ['an id without dashes', good.replace(uuid, uuid.replaceAll('-', '')), { field: 'id' }],
  ['an id that is null', good.replace(`"${uuid}"`, 'null'), { index: 1, field: 'id' }],
  ['a decimal point', withAmount('1.0'), { index: 1, field: 'amount' }],
  ['an exponent', withAmount('1e3'), { index: 1, field: 'amount' }],
  ['a leading zero', withAmount('01'), { index: 1, field: 'amount' }],
  ['a plus', withAmount('+1'), { index: 1, field: 'amount' }],
  ['null', withAmount('null'), { index: 1, field: 'amount' }],
  ['digits with a letter', withAmount('"12x"'), { index: 1, field: 'amount' }],
  ['an empty string', withAmount('""'), { index: 1, field: 'amount' }],
  ['one more than int64', withAmount('9223372036854775808'), { index: 1, field: 'amount' }],
  ['one less than int64', withAmount('"-9223372036854775809"'), { index: 1, field: 'amount' }],
  ['an item that is no object', '7', { index: 1 }],
  ['a nested object', withAmount('{"a":{"b":[]}}'), { index: 1, field: 'amount' }],
  ['a trailing comma', '', {}],
  ['a repeat with another amount', second.replace('-5', '6'), { index: 1 }],
  ['bad UTF-8', withAmount('"\xff"'), { index: 1, field: 'amount' }],
  ['a NUL byte', withAmount('\0'), { index: 1, field: 'amount' }],
]

const bodies: [name: string, body: string][] = [
  ['nothing', ''],
  ['an empty batch', '[]'],
  ['a lone object', good],
  ['two documents', `[${good}][${second}]`],
  ['a byte order mark', `\xef\xbb\xbf[${good}]`],
  ['a body that ends early', `[${good},{"id":"`],
  ['a NUL byte at the end', `[${good}]\0`],
  ['deep nesting', '['.repeat(100_000)],
]

test('a malformed item is said to be where it is, and nothing of it is taken', async (t) => {
  const { log, post, budget } = await running(t)
  for (const [name, item, at] of malformed) {
    const body = `[${second},${item}]`
    const { status, headers, document } = await post(Buffer.from(body, 'latin1'))
    assert.equal(status, 400, name)
    assert.equal(headers.get('content-type'), 'application/problem+json')
    assert.equal(document['type'], '/problems/invalid-request', name)
    for (const [member, value] of Object.entries(at)) {
      assert.equal(document[member], value, `${name}: ${member} in ${JSON.stringify(document)}`)
    }
    for (const member of ['detail', 'expected', 'found']) {
      assert.equal(typeof document[member], 'string', `${name}: ${member}`)
    }
  }
  assert.deepEqual(await entriesIn(log), [])
  assert.equal(budget.taken, 0)
})

test('a malformed body is refused, and nothing of it is taken', async (t) => {
  const { log, post } = await running(t)
  for (const [name, body] of bodies) {
    const { status, document } = await post(Buffer.from(body, 'latin1'))
    assert.equal(status, 400, name)
    for (const member of ['detail', 'expected', 'found']) {
      assert.equal(typeof document[member], 'string', `${name}: ${member}`)
    }
  }
  const cut = await post(
    Buffer.from(hexOf(uuid, account, 1n).slice(2), 'hex'),
    'application/x-protobuf',
  )
  assert.equal(cut.status, 400)
  assert.deepEqual(await entriesIn(log), [])
})

test('no acknowledgement is written before the last append is confirmed', async (t) => {
  const log = new HeldLog()
  const { port, budget } = await run(t, log)
  const connection = await RawConnection.open(port)
  const items = Array.from({ length: 20 }, () => good.replace(account, randomUUID()))
  const body = `[${items.map((item) => item.replace(uuid, randomUUID())).join()}]`
  const head = 'POST /v1/transactions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n'
  connection.send(`${head}Content-Length: ${body.length}\r\n\r\n${body}`)
  await log.appended(2)
  const [last, ...others] = log.appends
  others.forEach((append, i) => append.confirm(i))
  const reply = connection.reply()
  const early = await Promise.race([reply, new Promise((resolve) => setTimeout(resolve, 50))])
  assert.equal(early, undefined)
  last.confirm(9)
  assert.equal((await reply).status, 202)
  assert.equal(budget.taken, 0)
  connection.close()
})

test('a client that leaves before its acknowledgement does no harm', async (t) => {
  const log = new HeldLog()
  const { port, budget, post } = await run(t, log)
  const connection = await RawConnection.open(port)
  const head = 'POST /v1/transactions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n'
  connection.send(`${head}Content-Length: ${good.length + 2}\r\n\r\n[${good}]`)
  await log.appended(1)
  connection.close()
  await connection.closed
  const next = post(`[${second}]`)
  log.confirmAll()
  log.confirmsAtOnce = true
  assert.equal((await next).status, 202)
  assert.equal(budget.taken, 0)
})

test('while the log takes nothing, requests are 503 with the reason', async (t) => {
  const log = new HeldLog()
  const { post } = await run(t, log)
  log.reason = 'The brokers cannot be reached.'
  const { status, headers, document } = await post('not even JSON')
  assert.equal(status, 503)
  assert.equal(headers.get('retry-after'), '1')
  assert.equal(document['detail'], log.reason)
})

test('a full log, a lost log and a full ingress are 503, each by its name', async (t) => {
  const log = new HeldLog()
  const { post, budget } = await run(t, log, 1000)
  const failing = async (code: 'LOG_FULL' | 'LOG_UNAVAILABLE', type: string): Promise<void> => {
    const made = log.appends.length
    const reply = post(`[${good}]`)
    await log.appended(made + 1)
    log.appends[made].fail(new LedgerError(code, 'because'))
    const { status, document } = await reply
    assert.deepEqual([status, document['type']], [503, type])
  }
  await failing('LOG_FULL', '/problems/log-full')
  await failing('LOG_UNAVAILABLE', '/problems/log-unavailable')
  assert(budget.take(900))
  const refused = await post(`[${good}]`)
  assert.deepEqual([refused.status, refused.document['type']], [503, '/problems/overloaded'])
  budget.give(900)
  log.confirmsAtOnce = true
  assert.equal((await post(`[${good}]`)).status, 202)
})

test('a process that stops answers what it took and refuses what is new', async (t) => {
  const log = new HeldLog()
  const { post, ingress } = await run(t, log)
  const taken = post(`[${good}]`)
  await log.appended(1)
  const stopped = ingress.stop()
  const late = await post(`[${second}]`)
  assert.deepEqual([late.status, late.document['type']], [503, '/problems/stopping'])
  log.confirmAll()
  assert.equal((await taken).status, 202)
  await stopped
})
