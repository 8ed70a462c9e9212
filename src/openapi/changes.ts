// Describes the endpoint that streams what is committed.
// In:  the shared parts.
// Out: paths and schemas.
// Absent: the endpoint itself (query/changes.ts).

import { partitionCount } from '../record/layout.ts'
import { everywhere, int64Text, moment, reference, refusal, retryAfter, uuid } from './parts.ts'

const cursor = { type: 'string', description: 'From where to go on after this.' }

export const changesSchemas = {
  ChangesBatch: {
    type: 'object',
    description:
      'Committed rows of one partition, by created_at, account_id and id. All rows of one ' +
      'created_at of a partition come in one batch.',
    required: ['partition', 'transactions', 'cursor'],
    properties: {
      partition: { type: 'integer', minimum: 0, maximum: partitionCount - 1 },
      transactions: {
        type: 'array',
        minItems: 1,
        items: {
          type: 'object',
          required: ['id', 'account_id', 'amount', 'created_at'],
          properties: { id: uuid, account_id: uuid, amount: int64Text, created_at: moment },
        },
      },
      cursor,
    },
  },
  ChangesPosition: {
    type: 'object',
    description: 'At the beginning and at the end of a reply, and when nothing comes for a while.',
    required: ['cursor'],
    properties: { cursor },
  },
}

const schema = { oneOf: [reference('ChangesBatch'), reference('ChangesPosition')] }

const changes = {
  operationId: 'getChanges',
  summary: 'What is committed to the ledger, in order, and then as it is committed.',
  description:
    'Whoever keeps the cursor of an event together with what it did with the event gets every ' +
    'row exactly once, from any process of the ledger. The rows of a partition, and so of an ' +
    'account, come in the order in which they were accepted; partitions come in any order. ' +
    'Repetitions and conflicts make no events.',
  parameters: [
    {
      name: 'after',
      in: 'query',
      description: 'start, now, or the cursor of an earlier event.',
      schema: { type: 'string', default: 'now' },
    },
    {
      name: 'partitions',
      in: 'query',
      description: 'Only these, such as 0-63 or 0-7,64, so that several readers share the work.',
      schema: { type: 'string', pattern: '^[0-9]{1,3}(-[0-9]{1,3})?(,[0-9]{1,3}(-[0-9]{1,3})?)*$' },
    },
    {
      name: 'follow',
      in: 'query',
      description: 'false ends the reply with what is committed now.',
      schema: { type: 'boolean', default: true },
    },
    {
      name: 'limit',
      in: 'query',
      description: 'Ends the reply after so many batches.',
      schema: { type: 'integer', minimum: 1, maximum: 1_000_000 },
    },
    {
      name: 'Last-Event-ID',
      in: 'header',
      description: 'The cursor to go on from, as browsers send it; wins over after.',
      schema: { type: 'string' },
    },
  ],
  responses: {
    '200': {
      description: 'Events: a JSON object a line, or as data of a server-sent event.',
      content: { 'application/x-ndjson': { schema }, 'text/event-stream': { schema } },
    },
    ...everywhere,
    '410': refusal('The cursor is one of another ledger, or what follows it is archived.'),
    '503': refusal('The database is unavailable, or too many follow already.', retryAfter),
  },
}

export const changesPaths = { '/v1/changes': { get: changes } }
