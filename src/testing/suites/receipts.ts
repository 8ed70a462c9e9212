// Receipts against the running program: what was acknowledged is persisted, and each item has the
// outcome that it must have.
// In:  which log.
// Out: tests.
// Absent: crashes (crash.ts).

import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { plainShape } from '../generate.ts'
import { Program } from '../program.ts'
import { idAt } from '../rows.ts'
import { Setting, type LogKind } from './setting.ts'

interface Item {
  id: string
  account_id: string
  amount: string
}

interface Reply {
  status: number
  document: Record<string, unknown>
}

function items(count: number): Item[] {
  return Array.from({ length: count }, (_, i) => ({
    id: idAt(Date.now()),
    account_id: crypto.randomUUID(),
    amount: String(i - 5),
  }))
}

/** What does not find the item in an answer, or finds it elsewhere than it was sent, fails. */
function outcomesIn({ document }: Reply, sent: readonly Item[]): unknown[] {
  const outcomes = document['outcomes'] as (Item & { outcome: string })[]
  assert.deepEqual(
    outcomes.map(({ id, account_id: account }) => [id, account]),
    sent.map(({ id, account_id: account }) => [id, account]),
  )
  return outcomes.map(({ outcome }) => outcome)
}

async function call(url: string, body?: readonly Item[]): Promise<Reply> {
  const headers = { 'Content-Type': 'application/json' }
  const init = body && { method: 'POST', headers, body: JSON.stringify(body) }
  const reply = await fetch(url, init)
  return { status: reply.status, document: (await reply.json()) as Record<string, unknown> }
}

export function describeReceipts(log: LogKind): void {
  describe(`receipts on the ${log} log`, () => {
    let setting: Setting
    let program: Program
    const post = (sent: readonly Item[], query = ''): Promise<Reply> =>
      call(`${program.url}/v1/transactions${query}`, sent)

    before(async () => {
      setting = await Setting.open({ log, databases: 2, shape: plainShape, clients: 1 })
      program = await setting.startReady()
    })
    after(() => setting.close())

    test('what was acknowledged is persisted, and its outcomes can be asked for later', async () => {
      const sent = items(5000)
      const { status, document } = await post(sent)
      assert.equal(status, 202)
      const receipt = String(document['receipt'])
      assert(receipt.length < 1000, `${receipt.length} characters`)
      const url = `${program.url}/v1/receipts/${receipt}`
      const asked = await call(`${url}?wait=20s`)
      assert.deepEqual([asked.status, asked.document['persisted']], [200, true])
      const told = await call(`${url}/outcomes`, sent)
      assert.deepEqual(outcomesIn(told, sent), new Array(5000).fill('created'))
    })

    test('one call tells what was created, what was there and what differs', async () => {
      const [old, rival, ...fresh] = items(50)
      const first = await post([old, rival], '?wait=20s')
      assert.equal(first.status, 201)
      assert.deepEqual(outcomesIn(first, [old, rival]), ['created', 'created'])
      const sent = [...fresh, old, { ...rival, amount: '77' }, fresh[0]]
      const { status, document } = await post(sent, '?wait=20s')
      assert.equal(status, 201)
      const expected = [...fresh.map(() => 'created'), 'duplicate', 'conflict', 'duplicate']
      assert.deepEqual(outcomesIn({ status, document }, sent), expected)
      // A row keeps the time of its first record, so the first receipt still says the same.
      const again = `${program.url}/v1/receipts/${String(first.document['receipt'])}/outcomes`
      const told = await call(again, [old, rival])
      assert.deepEqual(outcomesIn(told, [old, rival]), ['created', 'created'])
    })

    test('a transfer that does not balance is refused whole, one that does is taken', async () => {
      const [debit, credit] = items(2)
      const transfer = [debit, { ...credit, id: debit.id, amount: '6' }]
      const refused = await post(transfer, '?balanced=true&wait=20s')
      const { id, sum, index } = refused.document
      assert.deepEqual([refused.status, id, sum, index], [400, debit.id, '1', 0])
      const even = [debit, { ...credit, id: debit.id, amount: '5' }]
      const taken = await post(even, '?balanced=true&wait=20s')
      assert.equal(taken.status, 201)
      assert.deepEqual(outcomesIn(taken, even), ['created', 'created'])
    })

    test('while PostgreSQL is away who waits gets 202, and the receipt is good later', async () => {
      await setting.postgres.killPostmaster()
      const sent = items(10)
      const { status, document } = await post(sent, '?wait=300ms')
      assert.equal(status, 202)
      assert(!('outcomes' in document))
      await setting.postgres.start()
      const url = `${program.url}/v1/receipts/${String(document['receipt'])}`
      let told = await call(`${url}/outcomes?wait=20s`, sent)
      while (told.status === 503) told = await call(`${url}/outcomes?wait=20s`, sent)
      assert.deepEqual(outcomesIn(told, sent), new Array(10).fill('created'))
    })

    test('a query role of its own reads receipts with the key, and says so without one', async () => {
      const { document } = await post(items(3), '?wait=20s')
      const path = `/v1/receipts/${String(document['receipt'])}`
      const url = setting.databases.join()
      const startQuery = (dataDir: string): Promise<Program> => {
        const flags = ['--role', 'query', '--listen', '127.0.0.1:0', '--database-url', url]
        return new Program([...flags, '--data-dir', dataDir]).ready()
      }
      const query = await startQuery(setting.directory)
      const keyless = await startQuery(join(setting.directory, 'none'))
      try {
        assert.equal((await call(`${query.url}${path}`)).document['persisted'], true)
        const refused = await call(`${keyless.url}${path}`)
        assert.equal(refused.status, 501)
        assert.match(String(refused.document['detail']), /--receipt-key/)
        await keyless.logged(({ advice }) => /--receipt-key/.test(String(advice)))
      } finally {
        for (const one of [query, keyless]) one.kill('SIGKILL')
      }
    })
  })
}
