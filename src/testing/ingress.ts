// The ingress role behind the real HTTP server, for the length of one test.
// In:  a log; or nothing, for the real embedded log.
// Out: requests and their answers; what is in the log afterwards.
// Absent: workers, PostgreSQL.

import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import pino from 'pino'
import type { LedgerError } from '../errors.ts'
import { ByteBudget } from '../http/budget.ts'
import { openIngress, type Ingress } from '../ingress/ingress.ts'
import { openEmbeddedLog } from '../log/embedded.ts'
import type { Log } from '../log/log.ts'
import { keyFromText } from '../receipt/key.ts'
import { createReceipts } from '../receipt/receipt.ts'
import type { Settlement } from '../receipt/settlement.ts'
import { entryBytes, partitionCount } from '../record/layout.ts'
import { serve } from './served.ts'

/** The key of every receipt here. */
export const receipts = createReceipts(keyFromText('for tests'))
export const everyPartition = Array.from({ length: partitionCount }, (_, p) => p)

export const uuid = '0190b1c4-9d3a-7000-8000-000000000001'
export const account = '0190b1c4-9d3a-4000-8000-0000000000aa'
/** Two items that are in order. */
export const good = `{"id":"${uuid}","account_id":"${account}","amount":-5}`
export const second = good.replace(uuid, '0190b1c4-9d3a-7000-8000-000000000002')

export interface Running {
  log: Log
  port: number
  url: string
  budget: ByteBudget
  ingress: Ingress
  post: (body: string | Uint8Array, type?: string, query?: string) => Promise<Answer>
}

export interface Answer {
  status: number
  headers: Headers
  document: Record<string, unknown>
}

export async function run(
  t: TestContext,
  log: Log,
  budgetBytes = 2 ** 26,
  settlement?: Settlement,
): Promise<Running> {
  const budget = new ByteBudget(budgetBytes)
  const logger = pino({ level: 'silent' })
  const ingress = openIngress({
    log,
    doubt: () => undefined,
    budget,
    backlog: undefined,
    lingerMs: 5,
    decodeThreads: 0,
    receipts,
    settlement,
    logger,
  })
  const { port, url } = await serve(t, { routes: ingress.routes, budget })
  const post: Running['post'] = async (body, type = 'application/json', query = '') => {
    const headers = { 'Content-Type': type }
    const reply = await fetch(`${url}/v1/transactions${query}`, { method: 'POST', headers, body })
    const document = (await reply.json()) as Record<string, unknown>
    return { status: reply.status, headers: reply.headers, document }
  }
  return { log, port, url, budget, ingress, post }
}

/** The real embedded log, in a directory that is gone after the test. */
export async function running(t: TestContext): Promise<Running> {
  const directory = await mkdtemp(join(tmpdir(), 'ledger-ingress-'))
  const log = await openEmbeddedLog({ directory, diskBytesMax: 2 ** 26 })
  const started = await run(t, log)
  t.after(async () => {
    await started.ingress.stop()
    await log.close()
    await rm(directory, { recursive: true })
  })
  return started
}

/** Bytes of all entries in the log, one string each, in log order by partition. */
export async function entriesIn(log: Log): Promise<string[]> {
  const fail = (_: number, error: LedgerError): never => assert.fail(error.message)
  const reader = await log.openReader({ onFault: fail })
  const ranges = await log.ranges(everyPartition)
  await reader.assign(new Map([...ranges].map(([partition, { first }]) => [partition, first])))
  const entries: string[] = []
  for (let records = await reader.read(2 ** 20); records.length > 0;) {
    for (const { bytes } of records) {
      for (let at = 0; at < bytes.length; at += entryBytes) {
        entries.push(Buffer.from(bytes.subarray(at, at + entryBytes)).toString('hex'))
      }
    }
    records = await reader.read(2 ** 20)
  }
  await reader.close()
  return entries
}

export function hexOf(id: string, accountId: string, amount: bigint): string {
  const amountBytes = Buffer.alloc(8)
  amountBytes.writeBigInt64LE(amount)
  const bare = (text: string): string => text.replaceAll('-', '').toLowerCase()
  return `0a2d0a10${bare(id)}1210${bare(accountId)}19${amountBytes.toString('hex')}`
}
