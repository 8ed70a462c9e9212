import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { test } from 'node:test'
import { LedgerError } from '../errors.ts'
import type { Receipt } from '../receipt/receipt.ts'
import type { Outcome, Settlement } from '../receipt/settlement.ts'
import { entryBytes } from '../record/layout.ts'
import { HeldLog } from '../testing/held-log.ts'
import {
  account,
  entriesIn,
  good,
  hexOf,
  receipts,
  run,
  running,
  second,
  uuid,
} from '../testing/ingress.ts'
import { RawConnection } from '../testing/raw-http.ts'

/** Query strings with the field that is refused. */
const strange: [query: string, field: string][] = [
  ['?dry_run=true', 'dry_run'],
  ['?wait=5', 'wait'],
  ['?wait=31s', 'wait'],
  ['?wait=', 'wait'],
  ['?wait=1s&wait=1s', 'wait'],
  ['?balanced', 'balanced'],
  ['?balanced=1', 'balanced'],
  ['?balanced=TRUE', 'balanced'],
  ['?balanced=true&Balanced=true', 'Balanced'],
]

test('a query parameter that means nothing is refused, not ignored', async (t) => {
  const { log, post } = await running(t)
  for (const [query, field] of strange) {
    const { status, document } = await post(`[${good}]`, 'application/json', query)
    assert.deepEqual([status, document['field']], [400, field], query)
    for (const member of ['detail', 'expected', 'found']) {
      assert.equal(typeof document[member], 'string', `${query}: ${member}`)
    }
  }
  assert.deepEqual(await entriesIn(log), [])
})

test('where nobody can look into the tables, wait is refused before anything is taken', async (t) => {
  const { log, post } = await running(t)
  const { status, document } = await post(`[${good}]`, 'application/json', '?wait=1s')
  assert.deepEqual([status, document['field']], [501, 'wait'])
  assert.match(String(document['detail']), /\/v1\/receipts\/.*--database-url/)
  assert.deepEqual(await entriesIn(log), [])
  assert.equal((await post(`[${good}]`, 'application/json', '?wait=0s')).status, 202)
})

/** A settlement that answers as a test says. */
class HeldSettlement implements Settlement {
  places = 0
  isFull = false
  asked: { receipt: Receipt; count: number; waitMs: number; signal: AbortSignal }[] = []
  answer: (outcomes: readonly Outcome[] | undefined) => void = () => undefined

  enter(): ReturnType<Settlement['enter']> {
    if (this.isFull) throw new LedgerError('OVERLOADED', 'No place is left.')
    this.places += 1
    return {
      outcomes: (receipt, { count }, waitMs, signal) => {
        this.asked.push({ receipt, count, waitMs, signal })
        return new Promise((resolve) => (this.answer = resolve))
      },
      leave: () => (this.places -= 1),
    }
  }

  async askedFor(count: number): Promise<void> {
    while (this.asked.length < count) await new Promise((resolve) => setImmediate(resolve))
  }
}

test('who waits gets 201 with outcomes, or 202 with the receipt when the time is over', async (t) => {
  const [log, settlement] = [new HeldLog(), new HeldSettlement()]
  log.confirmsAtOnce = true
  const { post, budget } = await run(t, log, 2 ** 26, settlement)
  const early = post(`[${good},${second}]`, 'application/json', '?wait=5s&balanced=false')
  await settlement.askedFor(1)
  assert(budget.taken >= 2 * entryBytes, 'what is kept for later counts')
  settlement.answer([{ kind: 'created' }, { kind: 'conflict', recordedAmount: '7' }])
  const { status, document } = await early
  assert.deepEqual([status, document['accepted']], [201, 2])
  assert.deepEqual(document['outcomes'], [
    { id: uuid, account_id: account, outcome: 'created' },
    {
      id: uuid.replace(/1$/, '2'),
      account_id: account,
      outcome: 'conflict',
      recorded_amount: '7',
    },
  ])
  const decoded = receipts.decode(String(document['receipt']))
  assert(decoded.kind === 'receipt')
  const [asked] = settlement.asked
  assert.deepEqual(asked.receipt.records, decoded.receipt.records)
  assert(asked.waitMs > 4000 && asked.waitMs <= 5000, `${asked.waitMs} ms are left`)

  const late = post(`[${good}]`, 'application/json', '?wait=250ms')
  await settlement.askedFor(2)
  settlement.answer(undefined)
  const reply = await late
  assert.deepEqual([reply.status, Object.keys(reply.document)], [202, ['accepted', 'receipt']])
  assert.deepEqual([settlement.places, budget.taken], [0, 0])
})

test('nothing is taken of a request that there is no place to wait for', async (t) => {
  const [log, settlement] = [new HeldLog(), new HeldSettlement()]
  log.confirmsAtOnce = true
  const { post, budget } = await run(t, log, 2 ** 26, settlement)
  settlement.isFull = true
  const { status, headers } = await post(`[${good}]`, 'application/json', '?wait=1s')
  assert.deepEqual([status, headers.get('retry-after')], [503, '1'])
  settlement.isFull = false
  const invalid = await post('[]', 'application/json', '?wait=1s')
  assert.equal(invalid.status, 400)
  assert.equal(log.appends.length, 0)
  assert.deepEqual([settlement.places, budget.taken], [0, 0])
})

test('a client that leaves while it waits is waited for no longer', async (t) => {
  const [log, settlement] = [new HeldLog(), new HeldSettlement()]
  log.confirmsAtOnce = true
  const { port } = await run(t, log, 2 ** 26, settlement)
  const connection = await RawConnection.open(port)
  const target = 'POST /v1/transactions?wait=5s HTTP/1.1\r\nHost: x\r\n'
  const head = `${target}Content-Type: application/json\r\n`
  connection.send(`${head}Content-Length: ${good.length + 2}\r\n\r\n[${good}]`)
  await settlement.askedFor(1)
  const { signal } = settlement.asked[0]
  const aborted = new Promise((resolve) => signal.addEventListener('abort', resolve))
  connection.close()
  await aborted
  settlement.answer(undefined)
})

test('balanced: amounts of an id that do not sum to zero are refused, in JSON and protobuf', async (t) => {
  const { log, post } = await running(t)
  const legs = [good, second, second.replace('-5', '5').replace(account, randomUUID())]
  const expected = { id: uuid, sum: '-5', index: 0 }
  const inProtobuf = [hexOf(uuid, account, -5n), hexOf(uuid, randomUUID(), 0n)].join('')
  const answers = [
    await post(`[${legs.join()}]`, 'application/json', '?balanced=true'),
    await post(Buffer.from(inProtobuf, 'hex'), 'application/x-protobuf', '?balanced=true'),
  ]
  for (const { status, document } of answers) {
    const { id, sum, index } = document
    assert.deepEqual([status, { id, sum, index }], [400, expected])
    assert.match(String(document['detail']), /Nothing of this request was taken/)
  }
  assert.deepEqual(await entriesIn(log), [])
  const even = [good, good.replace('-5', '5').replace(account, randomUUID())]
  assert.equal((await post(`[${even.join()}]`, 'application/json', '?balanced=true')).status, 202)
  assert.equal((await entriesIn(log)).length, 2)
})
