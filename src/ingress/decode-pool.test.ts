import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { test, type TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'
import pino from 'pino'
import { LedgerError } from '../errors.ts'
import { ByteBudget } from '../http/budget.ts'
import type { KeptBody } from '../http/http.ts'
import { decodeBodyBytesMin, decodeQueueMax } from '../limits.ts'
import { HeldLog } from '../testing/held-log.ts'
import { serve } from '../testing/served.ts'
import type { Batch } from '../batch/batch.ts'
import { keyFromText } from '../receipt/key.ts'
import { createReceipts } from '../receipt/receipt.ts'
import { DecodePool } from './decode-pool.ts'
import { openIngress } from './ingress.ts'

const logger = pino({ level: 'silent' })
const dyingDecoder = fileURLToPath(new URL('../testing/dying-decoder.js', import.meta.url))

function item(amount: number | string): string {
  return `{"id":"${randomUUID()}","account_id":"${randomUUID()}","amount":${amount}}`
}

/** A body that is large enough for a thread. */
function largeBody(last = item(7)): string {
  const items = Array.from({ length: Math.ceil(decodeBodyBytesMin / 100) }, (_, i) => item(i))
  return `[${items.join(',')},${last}]`
}

interface Kept extends KeptBody {
  releases: number
}

function kept(text: string): Kept {
  const memory = new SharedArrayBuffer(2 * text.length)
  Buffer.from(memory).write(text)
  const body = { memory, length: text.length, releases: 0, release: () => (body.releases += 1) }
  return body
}

function poolOf(t: TestContext, filename?: string): DecodePool {
  const pool = new DecodePool({ threads: 1, logger, ...(filename && { filename }) })
  t.after(() => pool.close())
  return pool
}

const countOf = ({ count }: Batch): number => count

function codeOf(code: string): (error: unknown) => boolean {
  return (error) => error instanceof LedgerError && error.code === code
}

interface Running {
  log: HeldLog
  budget: ByteBudget
  post: (body: string, query?: string) => Promise<{ status: number; document: unknown }>
}

/** Ingress on a log that confirms at once, with so many decode threads. */
async function ingressWith(
  t: TestContext,
  decodeThreads: number,
  doubt: () => string | undefined = () => undefined,
): Promise<Running> {
  const log = new HeldLog()
  log.confirmsAtOnce = true
  const budget = new ByteBudget(2 ** 26)
  const ingress = openIngress({
    log,
    doubt,
    budget,
    backlog: undefined,
    lingerMs: 5,
    decodeThreads,
    receipts: createReceipts(keyFromText('for tests')),
    settlement: undefined,
    logger,
  })
  const { url } = await serve(t, {
    routes: ingress.routes,
    budget,
    sharesBodies: decodeThreads > 0,
  })
  t.after(() => ingress.stop())
  const post: Running['post'] = async (body, query = '') => {
    const headers = { 'Content-Type': 'application/json' }
    const reply = await fetch(`${url}/v1/transactions${query}`, { method: 'POST', headers, body })
    return { status: reply.status, document: await reply.json() }
  }
  return { log, budget, post }
}

test('what a thread reads goes to the log as what the main thread reads', async (t) => {
  const [here, aside] = [await ingressWith(t, 0), await ingressWith(t, 1)]
  const body = largeBody()
  assert.equal((await here.post(body)).status, 202)
  assert.equal((await aside.post(body)).status, 202)
  const records = ({ log }: Running): string[] =>
    log.appends.map(({ partition, copy }) => `${partition} ${Buffer.from(copy).toString('hex')}`)
  assert.deepEqual(records(aside), records(here))
  assert.equal(aside.budget.taken, 0)
})

test('what a thread refuses is refused in the same words', async (t) => {
  const [here, aside] = [await ingressWith(t, 0), await ingressWith(t, 1)]
  const twice = `{"id":"${randomUUID()}","account_id":"${randomUUID()}","amount":`
  const bodies = [
    largeBody(item('1e3')),
    largeBody('{}'),
    largeBody(`${twice}1},${twice}2}`),
    `${largeBody()}x`,
    largeBody().slice(0, -1),
    `[${Array.from({ length: 5001 }, () => item(1)).join(',')}]`,
  ]
  for (const body of bodies) {
    const expected = await here.post(body)
    assert.equal(expected.status, 400)
    assert.deepEqual(await aside.post(body), expected)
  }
  assert.equal(aside.log.appends.length, 0)
  assert.equal(aside.budget.taken, 0)
})

test('a batch that does not balance is refused in the same words', async (t) => {
  const [here, aside] = [await ingressWith(t, 0), await ingressWith(t, 1)]
  const id = randomUUID()
  const leg = (amount: number): string =>
    `{"id":"${id}","account_id":"${randomUUID()}","amount":${amount}}`
  const pairs = Array.from({ length: 300 }, (_, i) => {
    const other = randomUUID()
    return [leg(i), leg(-i)].map((text) => text.replace(id, other))
  })
  const bodyWith = (last: number): string => `[${[...pairs.flat(), leg(5), leg(last)].join()}]`
  const expected = await here.post(bodyWith(-4), '?balanced=true')
  const { id: named, sum, index } = expected.document as Record<string, unknown>
  assert.deepEqual([expected.status, named, sum, index], [400, id, '1', 600])
  assert.deepEqual(await aside.post(bodyWith(-4), '?balanced=true'), expected)
  assert.equal(aside.log.appends.length, 0)
  assert.equal((await aside.post(bodyWith(-5), '?balanced=true')).status, 202)
  assert.equal((await aside.post(bodyWith(-4))).status, 202)
  assert.equal(aside.budget.taken, 0)
})

test('a log that is in doubt by the time a thread has read takes nothing', async (t) => {
  let asked = 0
  const doubt = (): string | undefined => (asked++ === 0 ? undefined : 'no longer ours')
  const { log, budget, post } = await ingressWith(t, 1, doubt)
  assert.equal((await post(largeBody())).status, 503)
  assert.equal(asked, 2)
  assert.equal(log.appends.length, 0)
  assert.equal(budget.taken, 0)
})

test('a thread that dies refuses its request only, and another takes its place', async (t) => {
  const pool = poolOf(t, dyingDecoder)
  const [deadly, good] = [kept('!'), kept(`[${item(1)}]`)]
  await assert.rejects(pool.decode(deadly, countOf), /exited with code: 3/)
  assert.equal(deadly.releases, 1)
  assert.deepEqual(await pool.decode(good, countOf), { taken: 1 })
  assert.equal(good.releases, 1)
})

test('a queue that is full refuses', async (t) => {
  const pool = poolOf(t)
  const bodies = Array.from({ length: decodeQueueMax + 2 }, () => kept(`[${item(1)}]`))
  const answers = await Promise.allSettled(bodies.map((body) => pool.decode(body, countOf)))
  const refused = answers.filter(({ status }) => status === 'rejected')
  assert(refused.length >= 1 && refused.length <= 2, `${refused.length} refused`)
  for (const answer of refused) {
    assert(answer.status === 'rejected' && codeOf('OVERLOADED')(answer.reason))
  }
  assert(bodies.every(({ releases }) => releases === 1))
})

test('stopping hands on what a thread has, and takes nothing more', async (t) => {
  const pool = poolOf(t)
  const taken: number[] = []
  const bodies = [kept(largeBody()), kept(largeBody())]
  const answers = bodies.map((body) => pool.decode(body, ({ count }) => taken.push(count)))
  const closed = pool.close()
  await assert.rejects(pool.decode(kept(`[${item(1)}]`), countOf), codeOf('STOPPING'))
  await closed
  assert.equal(taken.length, 2)
  await Promise.all(answers)
})
