// Describes the endpoints that list entries.
// In:  the shared parts.
// Out: paths and schemas.
// Absent: the endpoints themselves (query/).

import {
  accountId,
  everywhere,
  int64Text,
  json,
  moment,
  reference,
  refusal,
  retryAfter,
  uuid,
} from './parts.ts'

export const entrySchemas = {
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

export const entryPaths = {
  '/v1/accounts/{account_id}/transactions': { get: entries },
}
