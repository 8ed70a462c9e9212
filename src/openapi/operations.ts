// Describes the endpoints that serve operation.
// In:  the shared parts.
// Out: paths and schemas.
// Absent: the endpoints themselves (observe/health.ts, document.ts).

import { everywhere, json, reference } from './parts.ts'

export const operationSchemas = {
  Readiness: {
    type: 'object',
    required: ['ready'],
    properties: {
      ready: { type: 'boolean' },
      reasons: {
        type: 'array',
        items: { type: 'string' },
        description: 'Why it should not; absent where it should.',
      },
      remarks: {
        type: 'array',
        items: { type: 'string' },
        description: 'What is away or behind, though others do its work.',
      },
    },
  },
}

const health = {
  operationId: 'getHealth',
  summary: 'Whether the process is alive.',
  responses: {
    '200': json('Alive.', {
      type: 'object',
      required: ['status'],
      properties: { status: { const: 'ok' } },
    }),
    ...everywhere,
  },
}

const readiness = {
  operationId: 'getReadiness',
  summary: 'Whether the process should get requests, and why not.',
  responses: {
    '200': json('Ready.', reference('Readiness')),
    ...everywhere,
    '503': json('Not ready.', reference('Readiness')),
  },
}

const metrics = {
  operationId: 'getMetrics',
  summary: 'Metrics in the Prometheus text format.',
  responses: {
    '200': { description: 'Metrics.', content: { 'text/plain': { schema: { type: 'string' } } } },
    ...everywhere,
  },
}

const document = {
  operationId: 'getOpenapi',
  summary: 'This document.',
  responses: { '200': json('This document.', { type: 'object' }), ...everywhere },
}

const page = {
  operationId: 'getDocs',
  summary: 'This document as a page for people.',
  responses: {
    '200': { description: 'The page.', content: { 'text/html': { schema: { type: 'string' } } } },
    ...everywhere,
  },
}

export const operationPaths = {
  '/healthz': { get: health },
  '/readyz': { get: readiness },
  '/metrics': { get: metrics },
  '/openapi.json': { get: document },
  '/docs': { get: page },
}
