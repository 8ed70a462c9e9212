// Describes the endpoints about accounts.
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

export const accountSchemas = {
  Account: {
    type: 'object',
    required: ['account_id', 'balance', 'count', 'as_of'],
    properties: { account_id: uuid, balance: int64Text, count: int64Text, as_of: moment },
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

export const accountPaths = {
  '/v1/accounts/{account_id}': { get: account },
}
