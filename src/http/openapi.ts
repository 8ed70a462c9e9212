// The OpenAPI 3.1 document of the endpoints that exist, served at /openapi.json.
// In:  nothing.
// Out: the document, and the route that serves it.
// Absent: endpoints that are planned only.

import { requestItemsMax } from '../limits.ts'
import type { Route } from './http.ts'

type Schema = Readonly<Record<string, unknown>>

const uuid: Schema = { type: 'string', format: 'uuid' }
const int64Text: Schema = {
  type: 'string',
  pattern: '^-?(0|[1-9][0-9]*)$',
  description:
    'A whole number as a string, as ProtoJSON writes int64, so that no client rounds it.',
}
const moment: Schema = { type: 'string', format: 'date-time' }
const accountId = { name: 'account_id', in: 'path', required: true, schema: uuid }

function reference(name: string): Schema {
  return { $ref: `#/components/schemas/${name}` }
}

function json(description: string, schema: Schema): Schema {
  return { description, content: { 'application/json': { schema } } }
}

/** A refusal: a problem document, with Retry-After on a 503. */
function refusal(description: string, headers: Schema = {}): Schema {
  return {
    description,
    headers,
    content: { 'application/problem+json': { schema: reference('Problem') } },
  }
}

const retryAfter = {
  'Retry-After': { description: 'Seconds to wait.', schema: { type: 'integer' } },
}
const allow = { Allow: { description: 'The methods the path takes.', schema: { type: 'string' } } }

/** What every path may answer. */
const everywhere = {
  '400': refusal('Malformed. Nothing was taken.'),
  '405': refusal('The path does not take this method.', allow),
  '406': refusal('Accept leaves no room for the answer.'),
  '500': refusal('A fault of the server. A batch may or may not have been taken.'),
}

const schemas = {
  Transaction: {
    type: 'object',
    description:
      'One entry of an account. (account_id, id) is its identity; ' +
      'the same id on two accounts is two entries of one transfer.',
    required: ['id', 'account_id', 'amount'],
    additionalProperties: false,
    properties: {
      id: { ...uuid, description: 'Any UUID; UUIDv7 keeps the tables fast.' },
      account_id: uuid,
      amount: {
        description: "int64 in the smallest unit of the account's currency: a number or a string.",
        oneOf: [{ type: 'integer', format: 'int64' }, int64Text],
      },
    },
  },
  Accepted: {
    type: 'object',
    required: ['accepted', 'receipt'],
    properties: {
      accepted: { type: 'integer', minimum: 1, maximum: requestItemsMax },
      receipt: { type: 'string', description: 'Opaque: names the log records of this batch.' },
    },
  },
  Account: {
    type: 'object',
    required: ['account_id', 'balance', 'count', 'as_of'],
    properties: { account_id: uuid, balance: int64Text, count: int64Text, as_of: moment },
  },
  Entry: {
    type: 'object',
    required: ['id', 'account_id', 'amount', 'created_at'],
    properties: { id: uuid, account_id: uuid, amount: int64Text, created_at: moment },
  },
  EntryPage: {
    type: 'object',
    required: ['transactions', 'next_cursor'],
    properties: {
      transactions: { type: 'array', items: reference('Entry') },
      next_cursor: { type: ['string', 'null'], description: 'null on the last page.' },
    },
  },
  Readiness: {
    type: 'object',
    required: ['ready'],
    properties: {
      ready: { type: 'boolean' },
      reasons: { type: 'array', items: { type: 'string' } },
    },
  },
  Problem: {
    type: 'object',
    description: 'RFC 9457. `type` and `title` name the kind; the rest is about this occurrence.',
    required: ['type', 'title', 'status', 'detail'],
    properties: {
      type: { type: 'string', format: 'uri-reference' },
      title: { type: 'string' },
      status: { type: 'integer' },
      detail: { type: 'string' },
      index: { type: 'integer', description: 'Position of the item in the batch.' },
      field: { type: 'string' },
      position: { type: 'integer', description: 'Byte offset into the body.' },
      expected: { type: 'string' },
      found: { type: 'string' },
    },
  },
}

const batches = {
  operationId: 'postTransactions',
  summary: 'Take a batch of transactions, whole or not at all.',
  description:
    'Answers 202 once every item is durable in the log. After any other answer or none, an item ' +
    'may or may not have been taken: sending the same items with the same ids is always safe.',
  requestBody: {
    required: true,
    content: {
      'application/json': {
        schema: {
          type: 'array',
          minItems: 1,
          maxItems: requestItemsMax,
          items: reference('Transaction'),
        },
      },
      'application/x-protobuf': {
        schema: { type: 'string', format: 'binary', description: 'ledger.v1.TransactionBatch' },
      },
    },
  },
  responses: {
    '202': json('Durable.', reference('Accepted')),
    ...everywhere,
    '408': refusal('The body did not arrive in time. Nothing was taken.'),
    '413': refusal('The body is larger than --max-body. Nothing was taken.'),
    '415': refusal('Content-Type or Content-Encoding is not supported. Nothing was taken.'),
    '501': refusal('A Transfer-Encoding other than chunked. Nothing was taken.'),
    '503': refusal('Overloaded, stopping, or the log takes nothing now.', retryAfter),
  },
}

const account = {
  operationId: 'getAccount',
  summary: 'Exact balance of an account.',
  parameters: [accountId],
  responses: {
    '200': json('The account.', reference('Account')),
    ...everywhere,
    '404': refusal('The account has no entry.'),
    '503': refusal('The database is unavailable.', retryAfter),
  },
}

const entries = {
  operationId: 'getAccountTransactions',
  summary: 'Entries of an account, newest first.',
  parameters: [
    accountId,
    {
      name: 'limit',
      in: 'query',
      schema: { type: 'integer', minimum: 1, maximum: 1000, default: 100 },
    },
    {
      name: 'cursor',
      in: 'query',
      description: 'next_cursor of the page before.',
      schema: { type: 'string' },
    },
  ],
  responses: {
    '200': json('A page.', reference('EntryPage')),
    ...everywhere,
    '404': refusal('The account has no entry.'),
    '503': refusal('The database is unavailable.', retryAfter),
  },
}

const health = {
  operationId: 'getHealth',
  summary: 'Whether the process is alive.',
  responses: {
    '200': json('Alive.', {
      type: 'object',
      required: ['status'],
      properties: { status: { const: 'ok' } },
    }),
    ...everywhere,
  },
}

const readiness = {
  operationId: 'getReadiness',
  summary: 'Whether the process should get requests, and why not.',
  responses: {
    '200': json('Ready.', reference('Readiness')),
    ...everywhere,
    '503': json('Not ready.', reference('Readiness')),
  },
}

const metrics = {
  operationId: 'getMetrics',
  summary: 'Metrics in the Prometheus text format.',
  responses: {
    '200': { description: 'Metrics.', content: { 'text/plain': { schema: { type: 'string' } } } },
    ...everywhere,
  },
}

const document = {
  operationId: 'getOpenapi',
  summary: 'This document.',
  responses: { '200': json('This document.', { type: 'object' }), ...everywhere },
}

export const openapi = {
  openapi: '3.1.0',
  info: {
    title: 'Transaction Ledger',
    version: '0.1.0',
    license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
  },
  paths: {
    '/v1/transactions': { post: batches },
    '/v1/accounts/{account_id}': { get: account },
    '/v1/accounts/{account_id}/transactions': { get: entries },
    '/healthz': { get: health },
    '/readyz': { get: readiness },
    '/metrics': { get: metrics },
    '/openapi.json': { get: document },
  },
  components: { schemas },
} as const

export const openapiRoute: Route = {
  method: 'GET',
  path: '/openapi.json',
  handle: () => ({ status: 200, contentType: 'application/json', body: JSON.stringify(openapi) }),
}
