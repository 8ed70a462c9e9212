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

export type Settled = Accepted & {
  /** One for each item, in their order. */
  outcomes: readonly Outcome[]
}

/** What became of one item. `created`: it is in the ledger, and this request brought it. `duplicate`: it is there with this amount and was before, or it stands further up in the same request. `conflict`: another amount is recorded under its account_id and id, and stands. `unknown`: the ledger has nothing under them any more. */
export interface Outcome {
  id: string
  account_id: string
  outcome: 'created' | 'duplicate' | 'conflict' | 'unknown'
  recorded_amount?: bigint
}

export interface Persistence {
  /** Whether every item is in the tables, committed and visible. */
  persisted: boolean
  /** Partitions of the log with items that are not in the tables yet. */
  pending_partitions: number
  accepted: number
  accepted_at: string
}

/** Outcomes are there once everything is persisted. */
export type Outcomes = Persistence & {
  /** One for each item, in their order. */
  outcomes?: readonly Outcome[]
}

export interface EndEntry {
  id: string
  created_at: string
}

export interface Account {
  account_id: string
  balance: bigint
  count: bigint
  /** The first entry by id; null where there is none, as of a time before all. */
  first: EndEntry | null
  /** The last entry by id; null where there is none, as of a time before all. */
  last: EndEntry | null
  /** When the database looked. */
  as_of: string
  /** The time asked for, in UTC; only where one was. */
  at?: string
}

export interface Balances {
  /** In the order asked for; null for an account without entries. */
  balances: readonly (Account | null)[]
}

export interface Entry {
  id: string
  account_id: string
  amount: bigint
  /** When it was accepted into the log. */
  created_at: string
  running_balance?: bigint
}

export interface EntryPage {
  transactions: readonly Entry[]
  /** Of an account: ranges of ids, within what was asked for, of which it has entries that are archived. They are not listed; balances count them. */
  archived?: readonly {
    from: string
    /** Exclusive. */
    to: string
    count: bigint
  }[]
  /** null on the last page. */
  next_cursor: string | null
  /** null on the first page. */
  prev_cursor: string | null
}

/** An entry that was acknowledged although its account and id stood in the ledger with another amount already. It is in no statement and no balance. */
export interface Conflict {
  account_id: string
  id: string
  amount: bigint
  recorded_amount: bigint
  created_at: string
  detected_at: string
}

export interface ConflictPage {
  conflicts: readonly Conflict[]
  /** null on the last page. */
  next_cursor: string | null
  /** null on the first page. */
  prev_cursor: string | null
}

/** A log record that is no batch of transactions of its partition. */
export interface QuarantinedRecord {
  partition: number
  offset: bigint
  /** The log that the offset is of. */
  log_identity: string
  reason: string
  /** Bytes. */
  size: number
  created_at: string
  quarantined_at: string
}

export interface QuarantinePage {
  records: readonly QuarantinedRecord[]
  /** null on the last page. */
  next_cursor: string | null
  /** null on the first page. */
  prev_cursor: string | null
}

/** Committed rows of one partition, by created_at, account_id and id. All rows of one created_at of a partition come in one batch. */
export interface ChangesBatch {
  partition: number
  transactions: readonly {
    id: string
    account_id: string
    amount: bigint
    created_at: string
  }[]
  /** From where to go on after this. */
  cursor: string
}

/** At the beginning and at the end of a reply, and when nothing comes for a while. */
export interface ChangesPosition {
  /** From where to go on after this. */
  cursor: string
}

export interface Readiness {
  ready: boolean
  /** Why it should not; absent where it should. */
  reasons?: readonly string[]
  /** What is away or behind, though others do its work. */
  remarks?: readonly string[]
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
  /** An id whose amounts do not balance. */
  id?: string
  sum?: bigint
  expected?: string
  found?: string
}

/** What each operation takes in its path and query, and its successful answer in JSON. */
export interface Operations {
  'POST /v1/transactions': {
    path: {}
    query: { wait?: string | undefined; balanced?: boolean | undefined }
    reply: Settled | Accepted
  }
  'GET /v1/receipts/{receipt}': {
    path: { receipt: string }
    query: { wait?: string | undefined }
    reply: Persistence
  }
  'POST /v1/receipts/{receipt}/outcomes': {
    path: { receipt: string }
    query: { wait?: string | undefined }
    reply: Outcomes
  }
  'GET /v1/accounts/{account_id}': {
    path: { account_id: string }
    query: { at?: string | undefined; receipt?: string | undefined; wait?: string | undefined }
    reply: Account
  }
  'POST /v1/balances': { path: {}; query: {}; reply: Balances }
  'GET /v1/accounts/{account_id}/transactions': {
    path: { account_id: string }
    query: {
      order?: 'asc' | 'desc' | undefined
      from?: string | undefined
      to?: string | undefined
      limit?: number | undefined
      cursor?: string | undefined
      running_balance?: boolean | undefined
    }
    reply: EntryPage
  }
  'GET /v1/accounts/{account_id}/transactions/export': {
    path: { account_id: string }
    query: {
      format?: 'ndjson' | 'csv' | 'arrow' | undefined
      from?: string | undefined
      to?: string | undefined
      order?: 'asc' | 'desc' | undefined
    }
    reply: never
  }
  'GET /v1/accounts/{account_id}/transactions/{id}': {
    path: { account_id: string; id: string }
    query: {}
    reply: Entry
  }
  'GET /v1/transactions/{id}': {
    path: { id: string }
    query: { limit?: number | undefined; cursor?: string | undefined }
    reply: EntryPage
  }
  'GET /v1/conflicts': {
    path: {}
    query: {
      account_id?: string | undefined
      from?: string | undefined
      to?: string | undefined
      order?: 'asc' | 'desc' | undefined
      limit?: number | undefined
      cursor?: string | undefined
    }
    reply: ConflictPage
  }
  'GET /v1/quarantine': {
    path: {}
    query: { limit?: number | undefined; cursor?: string | undefined }
    reply: QuarantinePage
  }
  'GET /v1/quarantine/{partition}/{offset}': {
    path: { partition: number; offset: string }
    query: { log_identity?: string | undefined }
    reply: QuarantinedRecord
  }
  'GET /v1/quarantine/{partition}/{offset}/bytes': {
    path: { partition: number; offset: string }
    query: { log_identity?: string | undefined }
    reply: never
  }
  'GET /v1/changes': {
    path: {}
    query: {
      after?: string | undefined
      partitions?: string | undefined
      follow?: boolean | undefined
      limit?: number | undefined
    }
    reply: never
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
  'POST /v1/transactions': {
    method: 'POST',
    path: '/v1/transactions',
    shapes: { 201: 'Settled', 202: null },
  },
  'GET /v1/receipts/{receipt}': {
    method: 'GET',
    path: '/v1/receipts/{receipt}',
    shapes: { 200: null },
  },
  'POST /v1/receipts/{receipt}/outcomes': {
    method: 'POST',
    path: '/v1/receipts/{receipt}/outcomes',
    shapes: { 200: 'Outcomes' },
  },
  'GET /v1/accounts/{account_id}': {
    method: 'GET',
    path: '/v1/accounts/{account_id}',
    shapes: { 200: 'Account' },
  },
  'POST /v1/balances': { method: 'POST', path: '/v1/balances', shapes: { 200: 'Balances' } },
  'GET /v1/accounts/{account_id}/transactions': {
    method: 'GET',
    path: '/v1/accounts/{account_id}/transactions',
    shapes: { 200: 'EntryPage' },
  },
  'GET /v1/accounts/{account_id}/transactions/export': {
    method: 'GET',
    path: '/v1/accounts/{account_id}/transactions/export',
    shapes: {},
  },
  'GET /v1/accounts/{account_id}/transactions/{id}': {
    method: 'GET',
    path: '/v1/accounts/{account_id}/transactions/{id}',
    shapes: { 200: 'Entry' },
  },
  'GET /v1/transactions/{id}': {
    method: 'GET',
    path: '/v1/transactions/{id}',
    shapes: { 200: 'EntryPage' },
  },
  'GET /v1/conflicts': { method: 'GET', path: '/v1/conflicts', shapes: { 200: 'ConflictPage' } },
  'GET /v1/quarantine': {
    method: 'GET',
    path: '/v1/quarantine',
    shapes: { 200: 'QuarantinePage' },
  },
  'GET /v1/quarantine/{partition}/{offset}': {
    method: 'GET',
    path: '/v1/quarantine/{partition}/{offset}',
    shapes: { 200: 'QuarantinedRecord' },
  },
  'GET /v1/quarantine/{partition}/{offset}/bytes': {
    method: 'GET',
    path: '/v1/quarantine/{partition}/{offset}/bytes',
    shapes: {},
  },
  'GET /v1/changes': { method: 'GET', path: '/v1/changes', shapes: {} },
  'GET /healthz': { method: 'GET', path: '/healthz', shapes: { 200: null } },
  'GET /readyz': { method: 'GET', path: '/readyz', shapes: { 200: null } },
  'GET /metrics': { method: 'GET', path: '/metrics', shapes: {} },
  'GET /openapi.json': { method: 'GET', path: '/openapi.json', shapes: { 200: null } },
  'GET /docs': { method: 'GET', path: '/docs', shapes: {} },
}

export const schemaShapes: { readonly [name: string]: Shape | undefined } = {
  Transaction: { amount: 'int' },
  Settled: { outcomes: ['Outcome'] },
  Outcome: { recorded_amount: 'int' },
  Outcomes: { outcomes: ['Outcome'] },
  Account: { balance: 'int', count: 'int' },
  Balances: { balances: ['Account'] },
  Entry: { amount: 'int', running_balance: 'int' },
  EntryPage: { transactions: ['Entry'], archived: [{ count: 'int' }] },
  Conflict: { amount: 'int', recorded_amount: 'int' },
  ConflictPage: { conflicts: ['Conflict'] },
  QuarantinedRecord: { offset: 'int' },
  QuarantinePage: { records: ['QuarantinedRecord'] },
  ChangesBatch: { transactions: [{ amount: 'int' }] },
  Problem: { sum: 'int' },
}
