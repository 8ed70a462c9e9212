// Generated from the OpenAPI document by scripts/client-contract.mjs: `npm run generate`.
// In:  nothing.
// Out: types of the schemas and the operations; where whole numbers stand in an answer.
// Absent: anything written by hand.

/** One entry of an account. (account_id, id) is its identity; the same id on two accounts is two entries of one transfer. */
export interface Transaction {
  /** Any UUID; UUIDv7 keeps the tables fast. */
  id: string
  account_id: string
  /** int64 in the smallest unit of the account's currency: a number or a string. */
  amount: bigint
}

export interface Accepted {
  accepted: number
  /** Opaque: names the log records of this batch. */
  receipt: string
}

export interface Account {
  account_id: string
  balance: bigint
  count: bigint
  as_of: string
}

export interface Entry {
  id: string
  account_id: string
  amount: bigint
  created_at: string
}

export interface EntryPage {
  transactions: readonly Entry[]
  /** null on the last page. */
  next_cursor: string | null
}

export interface Readiness {
  ready: boolean
  reasons?: readonly string[]
}

/** RFC 9457. `type` and `title` name the kind; the rest is about this occurrence. */
export interface Problem {
  type: string
  title: string
  status: number
  detail: string
  /** Position of the item in the batch. */
  index?: number
  field?: string
  /** Byte offset into the body. */
  position?: number
  expected?: string
  found?: string
}

/** What each operation takes in its path and query, and its successful answer in JSON. */
export interface Operations {
  'POST /v1/transactions': { path: {}; query: {}; reply: Accepted }
  'GET /v1/accounts/{account_id}': { path: { account_id: string }; query: {}; reply: Account }
  'GET /v1/accounts/{account_id}/transactions': {
    path: { account_id: string }
    query: { limit?: number | undefined; cursor?: string | undefined }
    reply: EntryPage
  }
  'GET /healthz': {
    path: {}
    query: {}
    reply: {
      status: 'ok'
    }
  }
  'GET /readyz': { path: {}; query: {}; reply: Readiness }
  'GET /metrics': { path: {}; query: {}; reply: never }
  'GET /openapi.json': { path: {}; query: {}; reply: Readonly<Record<string, unknown>> }
  'GET /docs': { path: {}; query: {}; reply: never }
}

/** Whole numbers of an answer: the string "int", the name of a schema, the shape of an array's
      elements in brackets, or those of some members of an object. */
export type Shape = string | readonly [Shape] | { readonly [member: string]: Shape }

interface OperationRow {
  readonly method: 'GET' | 'POST'
  readonly path: string
  readonly shapes: { readonly [status: number]: Shape | null }
}

export const operations: { readonly [Name in keyof Operations]: OperationRow } = {
  'POST /v1/transactions': { method: 'POST', path: '/v1/transactions', shapes: { 202: null } },
  'GET /v1/accounts/{account_id}': {
    method: 'GET',
    path: '/v1/accounts/{account_id}',
    shapes: { 200: 'Account' },
  },
  'GET /v1/accounts/{account_id}/transactions': {
    method: 'GET',
    path: '/v1/accounts/{account_id}/transactions',
    shapes: { 200: 'EntryPage' },
  },
  'GET /healthz': { method: 'GET', path: '/healthz', shapes: { 200: null } },
  'GET /readyz': { method: 'GET', path: '/readyz', shapes: { 200: null } },
  'GET /metrics': { method: 'GET', path: '/metrics', shapes: {} },
  'GET /openapi.json': { method: 'GET', path: '/openapi.json', shapes: { 200: null } },
  'GET /docs': { method: 'GET', path: '/docs', shapes: {} },
}

export const schemaShapes: { readonly [name: string]: Shape | undefined } = {
  Transaction: { amount: 'int' },
  Account: { balance: 'int', count: 'int' },
  Entry: { amount: 'int' },
  EntryPage: { transactions: ['Entry'] },
}
