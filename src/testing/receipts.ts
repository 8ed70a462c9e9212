// A ledger of two databases, its receipts, and the endpoints that answer for them.
// In:  entries.
// Out: commits of them; receipts as ingress would give them out; questions over HTTP.
// Absent: the log and the worker, who commit by themselves (testing/suites/receipts.ts).

import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'
import { RequestBatch } from '../batch/batch.ts'
import { parseJson } from '../batch/parse-json.ts'
import { ByteBudget } from '../http/budget.ts'
import { databaseOf, type Layout } from '../ledger/buckets.ts'
import { durableCheckpoints, readCheckpoints } from '../ledger/checkpoint.ts'
import { commitFlush } from '../ledger/commit.ts'
import type { Checkpoint } from '../ledger/flush.ts'
import { ReadDatabases } from '../ledger/read-databases.ts'
import { Persistence } from '../query/persistence.ts'
import { receiptRoutes } from '../query/receipts.ts'
import { createReceipts, digestOf } from '../receipt/receipt.ts'
import { entryBytes, partitionCount } from '../record/layout.ts'
import { claimAll, createTestLedger, flushOf, testLog, withConnection } from './ledger.ts'
import type { TestPostgres } from './postgres.ts'
import { partitionOfAccount, type Entry } from './rows.ts'
import { serve } from './served.ts'

const buckets = 4
const databaseCount = 2

const everyPartition = Array.from({ length: partitionCount }, (_, p) => p)

export interface Answer {
  status: number
  headers: Headers
  document: Record<string, unknown>
}

export interface Served {
  url: string
  port: number
  budget: ByteBudget
  persistence: Persistence
  get: (receipt: string, query?: string) => Promise<Answer>
  outcomes: (receipt: string, body: string | Uint8Array, query?: string) => Promise<Answer>
}

/** Index of the database that has an account. */
export function databaseOfAccount(accountId: string): number {
  const bucket = partitionOfAccount(accountId) % buckets
  return databaseOf(bucket, { buckets, databases: databaseCount })
}

export class ReceiptLedger {
  readonly databaseUrls: string[] = []
  readonly receipts = createReceipts(Buffer.from('a key for tests'))

  static async create(server: TestPostgres): Promise<ReceiptLedger> {
    const ledger = new ReceiptLedger()
    for (let databaseIndex = 0; databaseIndex < databaseCount; databaseIndex++) {
      const layout: Layout = { buckets, databases: databaseCount, databaseIndex }
      const url = await createTestLedger(server, layout)
      ledger.databaseUrls.push(url)
      const own = everyPartition.filter((p) => databaseOf(p % buckets, layout) === databaseIndex)
      await withConnection(url, (connection) => claimAll(connection, own))
    }
    return ledger
  }

  /** Offsets of the records to come, by partition. */
  async nextOffsets(): Promise<Map<number, number>> {
    const all = new Map<number, number>()
    for (const url of this.databaseUrls) {
      const found = await withConnection(url, (one) => readCheckpoints(one, everyPartition))
      for (const { partition, nextOffset } of found) all.set(partition, nextOffset)
    }
    return all
  }

  /** A flush for each database that has some of them: one record for each of their partitions. */
  async commit(entries: readonly Entry[], mayRepeat = false): Promise<void> {
    for (const [index, url] of this.databaseUrls.entries()) {
      const own = entries.filter(({ accountId }) => databaseOfAccount(accountId) === index)
      if (own.length === 0) continue
      await withConnection(url, async (connection) => {
        const checkpoints: Checkpoint[] = await readCheckpoints(connection, everyPartition)
        const outcome = await commitFlush(connection, flushOf(own, checkpoints, mayRepeat))
        assert.equal(outcome.kind, 'committed')
        await durableCheckpoints(connection)
      })
    }
  }

  /** Of a request with these items, whose records will be the next, accepted at `time`. */
  async receiptOf(items: readonly Entry[], { time = 0, log = testLog } = {}): Promise<string> {
    const next = await this.nextOffsets()
    const none = (): Float64Array => new Float64Array(partitionCount).fill(-1)
    const records = { offsets: none(), times: none() }
    for (const { accountId, createdAt } of items) {
      const partition = partitionOfAccount(accountId)
      records.offsets[partition] = next.get(partition) ?? -1
      records.times[partition] = time || createdAt
    }
    const batch = new RequestBatch()
    assert.equal(parseJson(Buffer.from(bodyOf(items)), batch), undefined)
    const digest = digestOf(batch.entries.subarray(0, batch.count * entryBytes))
    return this.receipts.encode(log, records, { count: batch.count, digest })
  }

  /** The endpoints, for the length of one test. */
  async serve(t: TestContext, { hasKey = true } = {}): Promise<Served> {
    const { databaseUrls } = this
    const databases = new ReadDatabases({ databaseUrls, buckets, logger: { warn: () => {} } })
    const persistence = new Persistence(databases)
    const budget = new ByteBudget(2 ** 24)
    const routes = receiptRoutes({
      databases,
      persistence,
      receipts: hasKey ? this.receipts : undefined,
      budget,
    })
    const { url, port } = await serve(t, { routes, budget })
    t.after(() => databases.close())
    const ask = async (path: string, init?: RequestInit): Promise<Answer> => {
      const reply = await fetch(`${url}/v1/receipts/${path}`, init)
      const document = (await reply.json()) as Record<string, unknown>
      return { status: reply.status, headers: reply.headers, document }
    }
    return {
      url,
      port,
      budget,
      persistence,
      get: (receipt, query = '') => ask(`${receipt}${query}`),
      outcomes: (receipt, body, query = '') => {
        const type = typeof body === 'string' ? 'application/json' : 'application/x-protobuf'
        const init = { method: 'POST', headers: { 'Content-Type': type }, body }
        return ask(`${receipt}/outcomes${query}`, init)
      },
    }
  }
}

export function bodyOf(items: readonly Entry[]): string {
  const texts = items.map(
    ({ id, accountId, amount }) =>
      `{"id":"${id}","account_id":"${accountId}","amount":"${amount}"}`,
  )
  return `[${texts.join()}]`
}
