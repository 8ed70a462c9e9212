// What the descriptions of endpoints share.
// In:  nothing.
// Out: schemas, parameters and replies, as OpenAPI 3.1 writes them.
// Absent: endpoints.

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
