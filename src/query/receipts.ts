// GET /v1/receipts/{receipt} and POST /v1/receipts/{receipt}/outcomes: what became of a request.
// In:  requests.
// Out: replies, as soon as everything the receipt names is persisted, or the time is over.
// Absent: SQL, the log, memory of receipts: what a receipt says stands in its text.

import { RequestBatch, type Batch } from '../batch/batch.ts'
import { faultText } from '../batch/fault.ts'
import { parseJson } from '../batch/parse-json.ts'
import { parseProtobuf } from '../batch/parse-protobuf.ts'
import { LedgerError } from '../errors.ts'
import type { ByteBudget } from '../http/budget.ts'
import type { HttpReply, HttpRequest, Route } from '../http/http.ts'
import { problem } from '../http/problem.ts'
import type { ReadDatabases } from '../ledger/read-databases.ts'
import { digestOf, type Receipt, type Receipts } from '../receipt/receipt.ts'
import { copyOf, outcomesJson } from '../receipt/settlement.ts'
import { parseWait, waitExpected } from '../receipt/wait.ts'
import { entryBytes } from '../record/layout.ts'
import type { Persistence, Verdict } from './persistence.ts'
import { answered, checkParameters, json, Refusal } from './request.ts'
import { settle } from './settlement.ts'

export interface ReceiptRoutesOptions {
  databases: ReadDatabases
  persistence: Persistence
  /** Undefined: this process was given no key to read receipts with. */
  receipts: Receipts | undefined
  budget: ByteBudget
}

/** The reply where receipts cannot be read: the same for every receipt, until somebody acts. */
export const noReceiptKey = problem(
  501,
  'No receipt key',
  'This process has no key to read receipts with. Start it with --receipt-key (RECEIPT_KEY), the ' +
    'same as on every ingress, or on the same --data-dir as the ingress that made one.',
  { field: 'receipt', expected: '--receipt-key', found: 'none' },
)

export function receiptRoutes(options: ReceiptRoutesOptions): Route[] {
  const parsed = new RequestBatch()
  return [
    {
      method: 'GET',
      path: '/v1/receipts/{receipt}',
      handle: (request) => answered(() => persisted(options, request)),
    },
    {
      method: 'POST',
      path: '/v1/receipts/{receipt}/outcomes',
      accepts: ['application/json', 'application/x-protobuf'],
      handle: (request) => answered(() => outcomes(options, request, parsed)),
    },
  ]
}

async function persisted(options: ReceiptRoutesOptions, request: HttpRequest): Promise<HttpReply> {
  const { persistence, receipts } = options
  if (receipts === undefined) return noReceiptKey
  const receipt = receiptOf(receipts, request.parameters[0])
  checkParameters(request, ['wait'])
  const waitMs = waitOf(request)
  const leave = persistence.enter()
  try {
    return replyTo(receipt, await persistence.wait(receipt, waitMs, request.signal))
  } finally {
    leave()
  }
}

async function outcomes(
  options: ReceiptRoutesOptions,
  request: HttpRequest,
  parsed: RequestBatch,
): Promise<HttpReply> {
  const { databases, persistence, receipts, budget } = options
  if (receipts === undefined) return noReceiptKey
  const receipt = receiptOf(receipts, request.parameters[0])
  checkParameters(request, ['wait'])
  const waitMs = waitOf(request)
  const parse = request.contentType === 'application/json' ? parseJson : parseProtobuf
  const fault = parse(request.body, parsed)
  if (fault !== undefined) {
    return problem(400, 'Invalid request', faultText(fault), { ...fault })
  }
  checkItems(receipt, parsed)
  const bytes = parsed.count * entryBytes
  if (!budget.take(bytes)) {
    throw new LedgerError('OVERLOADED', `More than ${budget.limit} bytes are under way.`)
  }
  try {
    const leave = persistence.enter()
    try {
      const batch = copyOf(parsed)
      const question = { receipt, batch, waitMs, signal: request.signal }
      const settled = await settle(databases, persistence, question)
      if (settled.kind !== 'settled') return replyTo(receipt, settled)
      return json({ ...answerOf(receipt, 0), outcomes: outcomesJson(batch, settled.outcomes) })
    } finally {
      leave()
    }
  } finally {
    budget.give(bytes)
  }
}

/** @throws Refusal */
export function receiptOf(receipts: Receipts, text = ''): Receipt {
  const decoded = receipts.decode(text)
  if (decoded.kind === 'receipt') return decoded.receipt
  throw new Refusal('receipt', decoded.expected, decoded.found)
}

/** @throws Refusal */
export function waitOf(request: HttpRequest): number {
  const found = request.query.get('wait') ?? '0s'
  const waitMs = parseWait(found)
  if (waitMs === undefined) throw new Refusal('wait', waitExpected, found)
  return waitMs
}

/** Items of another request would be given outcomes that nobody vouches for. */
function checkItems(receipt: Receipt, { count, entries }: Batch): void {
  const digest = digestOf(entries.subarray(0, count * entryBytes))
  if (receipt.count === count && receipt.digest === digest) return
  const expected = `the ${receipt.count} items of this receipt, in their order`
  throw new Refusal('items', expected, receipt.count === count ? 'others' : `${count}`)
}

/** 200 whether it is persisted or not: either is the answer to the question. */
function replyTo(receipt: Receipt, verdict: Verdict): HttpReply {
  switch (verdict.kind) {
    case 'foreign':
      return foreignReceipt()
    case 'persisted':
      return json(answerOf(receipt, 0))
    case 'pending':
      return json(answerOf(receipt, verdict.partitions))
    case 'gone':
      // Nobody reads it.
      return json(answerOf(receipt, receipt.records.size))
  }
}

/** 410, since offsets of one log never come to mean anything in another. */
export function foreignReceipt(): HttpReply {
  const [expected, found] = ['a receipt of the log these tables follow', 'one of another log']
  const what = `receipt: expected ${expected}, found ${found}`
  const detail = `${what}. It will never be answered here.`
  return problem(410, 'Other log', detail, { field: 'receipt', expected, found })
}

function answerOf(receipt: Receipt, pending: number): Record<string, unknown> {
  const times = [...receipt.records.values()].map(({ time }) => time)
  return {
    persisted: pending === 0,
    pending_partitions: pending,
    accepted: receipt.count,
    accepted_at: new Date(Math.max(...times)).toISOString(),
  }
}
