// What the descriptions of endpoints share.
// In:  nothing.
// Out: schemas, parameters and replies, as OpenAPI 3.1 writes them.
// Absent: endpoints.

import { requestItemsMax } from '../limits.ts'

export type Schema = Readonly<Record<string, unknown>>

export const uuid: Schema = { type: 'string', format: 'uuid' }
export const int64Text: Schema = {
  type: 'string',
  pattern: '^-?(0|[1-9][0-9]*)$',
  description:
    'A whole number as a string, as ProtoJSON writes int64, so that no client rounds it.',
}
export const moment: Schema = { type: 'string', format: 'date-time' }
export const accountId = { name: 'account_id', in: 'path', required: true, schema: uuid }

export function reference(name: string): Schema {
  return { $ref: `#/components/schemas/${name}` }
}

export function json(description: string, schema: Schema): Schema {
  return { description, content: { 'application/json': { schema } } }
}

/** A refusal: a problem document, with Retry-After on a 503. */
export function refusal(description: string, headers: Schema = {}): Schema {
  return {
    description,
    headers,
    content: { 'application/problem+json': { schema: reference('Problem') } },
  }
}

export const retryAfter = {
  'Retry-After': { description: 'Seconds to wait.', schema: { type: 'integer' } },
}
const allow = {
  Allow: { description: 'The methods the path takes.', schema: { type: 'string' } },
}

/** Query parameters that several listings have. */
export const limit = {
  name: 'limit',
  in: 'query',
  schema: { type: 'integer', minimum: 1, maximum: 1000, default: 100 },
}
export const cursor = {
  name: 'cursor',
  in: 'query',
  description:
    'next_cursor or prev_cursor of another page of the same listing: the same path, order and ' +
    'filters. It never expires.',
  schema: { type: 'string' },
}

export function order(first: 'asc' | 'desc'): Schema {
  const schema = { type: 'string', enum: ['asc', 'desc'], default: first }
  return { name: 'order', in: 'query', schema }
}

export function bound(name: 'from' | 'to', description: string): Schema {
  return { name, in: 'query', description, schema: moment }
}

const ifNoneMatch = {
  name: 'If-None-Match',
  in: 'header',
  description: 'ETag of an earlier answer: 304 where it still holds.',
  schema: { type: 'string' },
}

const etag = {
  ETag: { description: 'Strong: of the content.', schema: { type: 'string' } },
  'Cache-Control': { schema: { const: 'private, no-cache' } },
}
const link = {
  Link: {
    description: 'RFC 8288: first, and next and prev where there is such a page.',
    schema: { type: 'string' },
  },
}

/** What a reply that may be asked for again takes and answers, besides its content. */
export const revalidation = {
  parameter: ifNoneMatch,
  headers: etag,
  unchanged: { '304': { description: 'Unchanged.', headers: etag } },
}

export function pageOf(description: string, schema: Schema): Schema {
  return { ...json(description, schema), headers: { ...etag, ...link } }
}

/** `next_cursor` and `prev_cursor` beside the items. */
export const pageCursors = {
  next_cursor: { type: ['string', 'null'], description: 'null on the last page.' },
  prev_cursor: { type: ['string', 'null'], description: 'null on the first page.' },
}

/** The items of a request, in either encoding. */
export const batchBody = {
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
}

/** What every path may answer. */
export const everywhere = {
  '400': refusal('Malformed. Nothing was taken.'),
  '405': refusal('The path does not take this method.', allow),
  '406': refusal('Accept leaves no room for the answer.'),
  '500': refusal('A fault of the server. A batch may or may not have been taken.'),
}

export const commonSchemas = {
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
      id: { ...uuid, description: 'An id whose amounts do not balance.' },
      sum: { ...int64Text, description: 'Their sum.' },
      expected: { type: 'string' },
      found: { type: 'string' },
    },
  },
}
