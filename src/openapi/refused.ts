// Describes the endpoints about what did not get into the ledger: conflicts and quarantine.
// In:  the shared parts.
// Out: paths and schemas.
// Absent: the endpoints themselves (query/).

import {
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

export const refusedSchemas = {
  Conflict: {
    type: 'object',
    description:
      'An entry that was acknowledged although its account and id stood in the ledger with ' +
      'another amount already. It is in no statement and no balance.',
    required: ['account_id', 'id', 'amount', 'recorded_amount', 'created_at', 'detected_at'],
    properties: {
      account_id: uuid,
      id: uuid,
      amount: { ...int64Text, description: 'The amount that was refused.' },
      recorded_amount: { ...int64Text, description: 'The amount that stands in the ledger.' },
      created_at: moment,
      detected_at: moment,
    },
  },
  ConflictPage: {
    type: 'object',
    required: ['conflicts', 'next_cursor', 'prev_cursor'],
    properties: {
      conflicts: { type: 'array', items: reference('Conflict') },
      ...pageCursors,
    },
  },
  QuarantinedRecord: {
    type: 'object',
    description: 'A log record that is no batch of transactions of its partition.',
    required: [
      'partition',
      'offset',
      'log_identity',
      'reason',
      'size',
      'created_at',
      'quarantined_at',
    ],
    properties: {
      partition: { type: 'integer', minimum: 0, maximum: 127 },
      offset: int64Text,
      log_identity: { type: 'string', description: 'The log that the offset is of.' },
      reason: { type: 'string' },
      size: { type: 'integer', minimum: 0, description: 'Bytes.' },
      created_at: moment,
      quarantined_at: moment,
    },
  },
  QuarantinePage: {
    type: 'object',
    required: ['records', 'next_cursor', 'prev_cursor'],
    properties: {
      records: { type: 'array', items: reference('QuarantinedRecord') },
      ...pageCursors,
    },
  },
}

const unavailable = refusal('Overloaded, or the database is unavailable.', retryAfter)

const conflicts = {
  operationId: 'getConflicts',
  summary: 'Entries that were refused after their acknowledgement, the newest first.',
  parameters: [
    { name: 'account_id', in: 'query', schema: uuid },
    bound('from', 'RFC 3339, inclusive: by detected_at.'),
    bound('to', 'RFC 3339, exclusive: by detected_at.'),
    order('desc'),
    limit,
    cursor,
    revalidation.parameter,
  ],
  responses: {
    '200': pageOf('A page.', reference('ConflictPage')),
    ...revalidation.unchanged,
    ...everywhere,
    '503': unavailable,
  },
}

const quarantine = {
  operationId: 'getQuarantine',
  summary: 'Log records that could not be decoded, by partition, offset and log.',
  parameters: [limit, cursor, revalidation.parameter],
  responses: {
    '200': pageOf('A page.', reference('QuarantinePage')),
    ...revalidation.unchanged,
    ...everywhere,
    '503': unavailable,
  },
}

const place = [
  {
    name: 'partition',
    in: 'path',
    required: true,
    schema: { type: 'integer', minimum: 0, maximum: 127 },
  },
  {
    name: 'offset',
    in: 'path',
    required: true,
    schema: { type: 'string', pattern: '^[0-9]{1,19}$' },
  },
  {
    name: 'log_identity',
    in: 'query',
    description: 'Which log is meant, where several had a record there.',
    schema: { type: 'string' },
  },
]

const notOne = {
  '404': refusal('No such record is in quarantine.'),
  '409': refusal('Several logs had a record there, and log_identity does not say which is meant.'),
}

const record = {
  operationId: 'getQuarantinedRecord',
  summary: 'One record in quarantine.',
  parameters: [...place, revalidation.parameter],
  responses: {
    '200': {
      ...json('The record.', reference('QuarantinedRecord')),
      headers: revalidation.headers,
    },
    ...revalidation.unchanged,
    ...everywhere,
    ...notOne,
    '503': unavailable,
  },
}

const bytes = {
  operationId: 'getQuarantinedBytes',
  summary: 'The bytes of a record in quarantine, as they were in the log.',
  parameters: place,
  responses: {
    '200': {
      description: 'The bytes.',
      headers: { 'Content-Disposition': { schema: { type: 'string' } } },
      content: { 'application/octet-stream': { schema: { type: 'string', format: 'binary' } } },
    },
    ...everywhere,
    ...notOne,
    '503': unavailable,
  },
}

export const refusedPaths = {
  '/v1/conflicts': { get: conflicts },
  '/v1/quarantine': { get: quarantine },
  '/v1/quarantine/{partition}/{offset}': { get: record },
  '/v1/quarantine/{partition}/{offset}/bytes': { get: bytes },
}
