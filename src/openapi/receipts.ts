// Describes the endpoints about receipts.
// In:  the shared parts.
// Out: paths, schemas, and the parameter `wait`.
// Absent: the endpoints themselves (query/receipts.ts).

import { requestItemsMax } from '../limits.ts'
import {
  batchBody,
  everywhere,
  int64Text,
  json,
  moment,
  reference,
  refusal,
  retryAfter,
  uuid,
} from './parts.ts'

const outcomeKinds = ['created', 'duplicate', 'conflict', 'unknown']

export const wait = {
  name: 'wait',
  in: 'query',
  description: 'How long to wait for all items to be persisted: 0s to 30s, such as 5s or 250ms.',
  schema: { type: 'string', pattern: '^[0-9]{1,5}(ms|s)$', default: '0s' },
  example: '5s',
}

const receipt = {
  name: 'receipt',
  in: 'path',
  required: true,
  description: 'As a 202 or 201 gave it.',
  schema: { type: 'string', pattern: '^[A-Za-z0-9_-]+$' },
}

export const receiptSchemas = {
  Outcome: {
    type: 'object',
    description:
      'What became of one item. `created`: it is in the ledger, and this request brought it. ' +
      '`duplicate`: it is there with this amount and was before, or it stands further up in the ' +
      'same request. `conflict`: another amount is recorded under its account_id and id, and ' +
      'stands. `unknown`: the ledger has nothing under them any more.',
    required: ['id', 'account_id', 'outcome'],
    properties: {
      id: uuid,
      account_id: uuid,
      outcome: { type: 'string', enum: outcomeKinds },
      recorded_amount: { ...int64Text, description: 'Of a conflict: the amount that stands.' },
    },
  },
  Persistence: {
    type: 'object',
    required: ['persisted', 'pending_partitions', 'accepted', 'accepted_at'],
    properties: {
      persisted: {
        type: 'boolean',
        description: 'Whether every item is in the tables, committed and visible.',
      },
      pending_partitions: {
        type: 'integer',
        minimum: 0,
        description: 'Partitions of the log with items that are not in the tables yet.',
      },
      accepted: { type: 'integer', minimum: 1, maximum: requestItemsMax },
      accepted_at: moment,
    },
  },
  Outcomes: {
    description: 'Outcomes are there once everything is persisted.',
    allOf: [
      reference('Persistence'),
      {
        type: 'object',
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

const refusals = {
  ...everywhere,
  '410': refusal('The receipt is of another log than these tables follow: it never will be there.'),
  '501': refusal('This process was given no key to read receipts with (--receipt-key).'),
  '503': refusal('The database is away, or too many wait already.', retryAfter),
}

const persisted = {
  operationId: 'getReceipt',
  summary: 'Whether all items of a request are persisted.',
  description:
    'Answers 200 as soon as they are, or with `persisted: false` when the time is over: either ' +
    'answers the question.',
  parameters: [receipt, wait],
  responses: { '200': json('How far it is.', reference('Persistence')), ...refusals },
}

const outcomes = {
  operationId: 'postReceiptOutcomes',
  summary: 'What became of each item of a request.',
  description:
    'A receipt holds no items, so they are sent again: the same, in the same order, in JSON or ' +
    'protobuf. Nothing is taken of them. Other items are refused.',
  parameters: [receipt, wait],
  requestBody: batchBody,
  responses: {
    '200': json('How far it is; with outcomes, if it is persisted.', reference('Outcomes')),
    ...refusals,
    '408': refusal('The body did not arrive in time.'),
    '413': refusal('The body is larger than --max-body.'),
    '415': refusal('Content-Type or Content-Encoding is not supported.'),
  },
}

export const receiptPaths = {
  '/v1/receipts/{receipt}': { get: persisted },
  '/v1/receipts/{receipt}/outcomes': { post: outcomes },
}
