// Describes the endpoints of ingress.
// In:  the shared parts.
// Out: paths and schemas.
// Absent: the endpoints themselves (ingress/routes.ts).

import { requestItemsMax } from '../limits.ts'
import { wait } from './receipts.ts'
import {
  batchBody,
  everywhere,
  int64Text,
  json,
  reference,
  refusal,
  retryAfter,
  uuid,
} from './parts.ts'

export const transactionSchemas = {
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
  Settled: {
    allOf: [
      reference('Accepted'),
      {
        type: 'object',
        required: ['outcomes'],
        properties: {
          outcomes: {
            type: 'array',
            description: 'One for each item, in their order.',
            items: reference('Outcome'),
          },
        },
      },
    ],
  },
}

const balanced = {
  name: 'balanced',
  in: 'query',
  description:
    'The amounts of every id in the batch must sum to zero, each item counted once; otherwise ' +
    '400 names the id, its sum and its first item.',
  schema: { type: 'boolean', default: false },
}

const batches = {
  operationId: 'postTransactions',
  summary: 'Take a batch of transactions, whole or not at all.',
  description:
    'Answers 202 once every item is durable in the log. After any other answer or none, an item ' +
    'may or may not have been taken: sending the same items with the same ids is always safe. ' +
    'With `wait`, answers 201 with the outcome of each item as soon as all are persisted, and ' +
    '202 when the time is over: ask again with the receipt.',
  parameters: [wait, balanced],
  requestBody: batchBody,
  responses: {
    '201': json('Persisted.', reference('Settled')),
    '202': json('Durable.', reference('Accepted')),
    ...everywhere,
    '408': refusal('The body did not arrive in time. Nothing was taken.'),
    '413': refusal('The body is larger than --max-body. Nothing was taken.'),
    '415': refusal('Content-Type or Content-Encoding is not supported. Nothing was taken.'),
    '501': refusal(
      'A Transfer-Encoding other than chunked; or `wait`, in a process without a database. ' +
        'Nothing was taken.',
    ),
    '503': refusal('Overloaded, stopping, or the log takes nothing now.', retryAfter),
  },
}

export const transactionPaths = {
  '/v1/transactions': { post: batches },
}
