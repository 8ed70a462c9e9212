// An example of each operation, which the document shows and a test sends to a live server.
// In:  the described paths.
// Out: the same paths with examples of parameters, bodies and replies.
// Absent: schemas, and what an operation means (the file of its area).

import type { Schema } from './parts.ts'

interface Example {
  /** By name, whether in the path or in the query. */
  parameters?: Readonly<Record<string, string | number | boolean>>
  body?: unknown
  /** By status. */
  replies: Readonly<Record<number, unknown>>
}

const payer = '7d7b4bd1-1f4f-4c5b-8a3e-0d6f7f0a1b2c'
const payee = 'c2a5a1de-5f0e-4f39-9b1a-3f8d2e6c7b11'
const transfer = '01932c07-aaaa-7000-8000-000000000001'
const takenAt = '2026-11-24T00:49:56.412Z'
const readAt = '2026-11-24T00:49:56.495Z'
const receipt = 'AaHBOsMAAAAAAAAAAAIAAAACAAAAAAAAYvlkx3_a8SOdpIdqPj6iFw'

const batch = [
  { id: transfer, account_id: payer, amount: '-1250' },
  { id: transfer, account_id: payee, amount: '1250' },
]
const outcomes = batch.map(({ id, account_id }) => ({ id, account_id, outcome: 'created' }))
const entry = { id: transfer, account_id: payee, amount: '1250', created_at: takenAt }
const end = { id: transfer, created_at: takenAt }
const account = {
  account_id: payee,
  balance: '1250',
  count: '1',
  first: end,
  last: end,
  as_of: readAt,
}
const status = { persisted: true, pending_partitions: 0, accepted: 2, accepted_at: takenAt }
const lastPage = { next_cursor: null, prev_cursor: null }
const record = {
  partition: 17,
  offset: '4711',
  log_identity: '5f0e4f399b1a3f8d',
  reason: 'Expected a TransactionBatch, found the end of the record in a field.',
  size: 3,
  created_at: takenAt,
  quarantined_at: readAt,
}

/** By operationId. */
const examples: Readonly<Record<string, Example>> = {
  postTransactions: {
    parameters: { wait: '5s', balanced: true },
    body: batch,
    replies: { 201: { accepted: 2, receipt, outcomes }, 202: { accepted: 2, receipt } },
  },
  getReceipt: { parameters: { receipt, wait: '5s' }, replies: { 200: status } },
  postReceiptOutcomes: {
    parameters: { receipt, wait: '5s' },
    body: batch,
    replies: { 200: { ...status, outcomes } },
  },
  getAccount: { parameters: { account_id: payee }, replies: { 200: account } },
  postBalances: {
    body: [payee, payer],
    replies: { 200: { balances: [account, { ...account, account_id: payer, balance: '-1250' }] } },
  },
  getAccountTransactions: {
    parameters: { account_id: payee, limit: 10, running_balance: 'true' },
    replies: { 200: { transactions: [{ ...entry, running_balance: '1250' }], ...lastPage } },
  },
  getAccountTransaction: {
    parameters: { account_id: payee, id: transfer },
    replies: { 200: entry },
  },
  getTransaction: {
    parameters: { id: transfer },
    replies: {
      200: { transactions: [{ ...entry, account_id: payer, amount: '-1250' }, entry], ...lastPage },
    },
  },
  getConflicts: {
    parameters: { account_id: payee },
    replies: {
      200: {
        conflicts: [
          {
            account_id: payee,
            id: transfer,
            amount: '1251',
            recorded_amount: '1250',
            created_at: takenAt,
            detected_at: readAt,
          },
        ],
        ...lastPage,
      },
    },
  },
  getQuarantine: { replies: { 200: { records: [record], ...lastPage } } },
  getQuarantinedRecord: { parameters: { partition: 17, offset: '4711' }, replies: { 200: record } },
  getHealth: { replies: { 200: { status: 'ok' } } },
  getReadiness: { replies: { 200: { ready: true } } },
}

/** Operations that answer with a document, a file or a stream: too long for an example. */
export const withoutExample: ReadonlySet<string> = new Set([
  'exportAccountTransactions',
  'getChanges',
  'getQuarantinedBytes',
  'getMetrics',
  'getOpenapi',
  'getDocs',
])

type Paths = Readonly<Record<string, Readonly<Record<string, Schema>>>>

/** @throws Error when an example belongs to no operation */
export function withExamples(paths: Paths): Paths {
  const unused = new Set(Object.keys(examples))
  const operationWith = (operation: Schema): Schema => {
    const id = String(operation['operationId'])
    unused.delete(id)
    return examples[id] === undefined ? operation : decorated(operation, examples[id])
  }
  const result = mapped(paths, (path) => mapped(path, operationWith))
  if (unused.size > 0) throw new Error(`No operation is called ${[...unused].join(', ')}.`)
  return result
}

function decorated(operation: Schema, { parameters, body, replies }: Example): Schema {
  const described = (operation['parameters'] ?? []) as readonly Schema[]
  const responses = operation['responses'] as Readonly<Record<string, Schema>>
  const requestBody = operation['requestBody'] as Schema | undefined
  return {
    ...operation,
    ...(described.length > 0 && {
      parameters: described.map((parameter) => {
        const example = parameters?.[String(parameter['name'])]
        return example === undefined ? parameter : { ...parameter, example }
      }),
    }),
    ...(requestBody && { requestBody: withContent(requestBody, body) }),
    responses: mapped(responses, (response, code) =>
      code in replies ? withContent(response, replies[Number(code)]) : response,
    ),
  }
}

/** The example stands at the first media type, which is JSON wherever there is a choice. */
function withContent(holder: Schema, example: unknown): Schema {
  const content = Object.entries((holder['content'] ?? {}) as Record<string, Schema>)
  return {
    ...holder,
    content: Object.fromEntries(
      content.map(([type, media], index) => [type, index === 0 ? { ...media, example } : media]),
    ),
  }
}

function mapped<A, B>(
  record: Readonly<Record<string, A>>,
  change: (value: A, key: string) => B,
): Record<string, B> {
  return Object.fromEntries(Object.entries(record).map(([key, value]) => [key, change(value, key)]))
}
