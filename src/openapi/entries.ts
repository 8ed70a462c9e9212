// Describes the endpoints that list entries.
// In:  the shared parts.
// Out: paths and schemas.
// Absent: the endpoints themselves (query/).

import {
  accountId,
  bound,
  cursor,
  everywhere,
  int64Text,
  json,
  limit,
  moment,
  order,
  pageCursors,
  pageOf,
  reference,
  refusal,
  retryAfter,
  revalidation,
  uuid,
} from './parts.ts'

export const entrySchemas = {
  Entry: {
    type: 'object',
    required: ['id', 'account_id', 'amount', 'created_at'],
    properties: {
      id: uuid,
      account_id: uuid,
      amount: int64Text,
      created_at: { ...moment, description: 'When it was accepted into the log.' },
      running_balance: {
        ...int64Text,
        description:
          'Where asked for: the sum of all entries of the account up to this one by id, whatever ' +
          'the order and range. Exact; may exceed an int64.',
      },
    },
  },
  EntryPage: {
    type: 'object',
    required: ['transactions', 'next_cursor', 'prev_cursor'],
    properties: {
      transactions: { type: 'array', items: reference('Entry') },
      archived: {
        type: 'array',
        description:
          'Of an account: ranges of ids, within what was asked for, of which it has entries that ' +
          'are archived. They are not listed; balances count them.',
        items: {
          type: 'object',
          required: ['from', 'to', 'count'],
          properties: {
            from: moment,
            to: { ...moment, description: 'Exclusive.' },
            count: int64Text,
          },
        },
      },
      ...pageCursors,
    },
  },
}

const entryId = { name: 'id', in: 'path', required: true, schema: uuid }

const byId =
  'Bounds ids: a UUIDv7 begins with its milliseconds since 1970. Any other id lies where these ' +
  '48 bits of it say.'
const span = [
  bound('from', `RFC 3339, inclusive. ${byId}`),
  bound('to', 'RFC 3339, exclusive. Bounds ids as `from` does.'),
]

const unavailable = refusal('Overloaded, or the database is unavailable.', retryAfter)

const entries = {
  operationId: 'getAccountTransactions',
  summary: 'Entries of an account by id, which for UUIDv7 is by time; newest first.',
  parameters: [
    accountId,
    order('desc'),
    ...span,
    limit,
    cursor,
    {
      name: 'running_balance',
      in: 'query',
      description: 'Whether each entry comes with the balance after it.',
      schema: { type: 'string', enum: ['true', 'false'], default: 'false' },
    },
    revalidation.parameter,
  ],
  responses: {
    '200': pageOf('A page.', reference('EntryPage')),
    ...revalidation.unchanged,
    ...everywhere,
    '404': refusal('The account has no entry.'),
    '503': unavailable,
  },
}

const entry = {
  operationId: 'getAccountTransaction',
  summary: 'One entry of an account.',
  parameters: [accountId, entryId, revalidation.parameter],
  responses: {
    '200': { ...json('The entry.', reference('Entry')), headers: revalidation.headers },
    ...revalidation.unchanged,
    ...everywhere,
    '404': refusal('The account has no such entry.'),
    '410': refusal('The account has entries of that day which are archived.'),
    '503': unavailable,
  },
}

const transfer = {
  operationId: 'getTransaction',
  summary: 'All entries of an id, by account: of a transfer, its two sides.',
  description: 'Quick for UUIDv7 ids, whose time says where to look.',
  parameters: [entryId, limit, cursor, revalidation.parameter],
  responses: {
    '200': pageOf('A page.', reference('EntryPage')),
    ...revalidation.unchanged,
    ...everywhere,
    '404': refusal('No account has an entry with this id.'),
    '410': refusal('Entries with ids of that day are archived.'),
    '503': unavailable,
  },
}

const binary = { schema: { type: 'string', format: 'binary' } }

const exported = {
  operationId: 'exportAccountTransactions',
  summary: 'All entries of an account or of a range, in one answer.',
  description:
    'As they are at one instant, streamed as fast as they are taken. A stream that cannot be ' +
    'finished is cut: its last chunk is missing, and clients report that. NDJSON has an Entry a ' +
    'line, CSV a header and the same columns, Arrow fixed-size binary ids (arrow.uuid), int64 ' +
    'amounts and times in microseconds.',
  parameters: [
    accountId,
    {
      name: 'format',
      in: 'query',
      description: 'Default: what Accept likes best, or else ndjson.',
      schema: { type: 'string', enum: ['ndjson', 'csv', 'arrow'] },
    },
    ...span,
    order('asc'),
  ],
  responses: {
    '200': {
      description: 'The entries.',
      headers: {
        'Content-Disposition': { schema: { type: 'string' } },
        Vary: { schema: { const: 'Accept' } },
      },
      content: {
        'application/x-ndjson': { schema: { type: 'string' } },
        'text/csv': { schema: { type: 'string' } },
        'application/vnd.apache.arrow.stream': binary,
      },
    },
    ...everywhere,
    '404': refusal('The account has no entry.'),
    '410': refusal('Entries of the range are archived. The detail says which.'),
    '503': refusal('Too many exports are under way, or the database is unavailable.', retryAfter),
  },
}

export const entryPaths = {
  '/v1/accounts/{account_id}/transactions': { get: entries },
  '/v1/accounts/{account_id}/transactions/export': { get: exported },
  '/v1/accounts/{account_id}/transactions/{id}': { get: entry },
  '/v1/transactions/{id}': { get: transfer },
}
