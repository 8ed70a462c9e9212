// Describes the endpoints about accounts.
// In:  the shared parts.
// Out: paths and schemas.
// Absent: the endpoints themselves (query/).

import { balanceAccountsMax } from '../limits.ts'
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
  type Schema,
} from './parts.ts'

const end = (which: string): Schema => ({
  oneOf: [reference('EndEntry'), { type: 'null' }],
  description: `The ${which} entry by id; null where there is none, as of a time before all.`,
})

export const accountSchemas = {
  EndEntry: {
    type: 'object',
    required: ['id', 'created_at'],
    properties: { id: uuid, created_at: moment },
  },
  Account: {
    type: 'object',
    required: ['account_id', 'balance', 'count', 'first', 'last', 'as_of'],
    properties: {
      account_id: uuid,
      balance: {
        ...int64Text,
        description: 'The exact sum of all amounts; it may exceed an int64.',
      },
      count: int64Text,
      first: end('first'),
      last: end('last'),
      as_of: { ...moment, description: 'When the database looked.' },
      at: { ...moment, description: 'The time asked for, in UTC; only where one was.' },
    },
  },
  Balances: {
    type: 'object',
    required: ['balances'],
    properties: {
      balances: {
        type: 'array',
        maxItems: balanceAccountsMax,
        description: 'In the order asked for; null for an account without entries.',
        items: { oneOf: [reference('Account'), { type: 'null' }] },
      },
    },
  },
}

const at = {
  name: 'at',
  in: 'query',
  description:
    'Only entries created at or before this time count, by when the ledger accepted them; ' +
    'RFC 3339 with an offset, years 0001 to 9999.',
  schema: moment,
}

const receipt = {
  name: 'receipt',
  in: 'query',
  description:
    'Of an earlier request: what it wrote to this account counts, or the answer is 409 ' +
    '(read your writes).',
  schema: { type: 'string' },
}

const wait = {
  name: 'wait',
  in: 'query',
  description: 'How long to wait for the receipt to be persisted, such as 500ms or 5s.',
  schema: { type: 'string', pattern: '^[0-9]+(ms|s)$' },
}

const account = {
  operationId: 'getAccount',
  summary: 'Exact balance of an account, now, as of a time, or as of a receipt.',
  parameters: [accountId, at, receipt, wait],
  responses: {
    '200': json('The account.', reference('Account')),
    ...everywhere,
    '404': refusal('The account has no entry.'),
    '409': refusal('What the receipt names was not persisted in time.', retryAfter),
    '410': refusal(
      'The receipt is of another log, and will never be answered here; or the time lies within ' +
        'entries that are archived.',
    ),
    '501': refusal('This process was given no key to read receipts with.'),
    '503': refusal('The database is unavailable, or too many wait already.', retryAfter),
  },
}

const accountIds = {
  type: 'array',
  minItems: 1,
  maxItems: balanceAccountsMax,
  items: uuid,
}

const balances = {
  operationId: 'postBalances',
  summary: `Exact balances of up to ${balanceAccountsMax} accounts.`,
  description: 'Those of accounts that are in the same database are as of the same instant.',
  requestBody: {
    required: true,
    content: {
      'application/json': {
        schema: {
          oneOf: [
            accountIds,
            {
              type: 'object',
              required: ['account_ids'],
              additionalProperties: false,
              properties: { account_ids: accountIds },
            },
          ],
        },
      },
    },
  },
  responses: {
    '200': json('The balances.', reference('Balances')),
    ...everywhere,
    '408': refusal('The body did not arrive in time.'),
    '413': refusal('The body is too large.'),
    '415': refusal('Content-Type or Content-Encoding is not supported.'),
    '503': refusal('The database is unavailable.', retryAfter),
  },
}

export const accountPaths = {
  '/v1/accounts/{account_id}': { get: account },
  '/v1/balances': { post: balances },
}
