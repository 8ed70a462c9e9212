// The OpenAPI 3.1 document of the endpoints that exist, served at /openapi.json.
// In:  the descriptions of each area.
// Out: the document, and the route that serves it.
// Absent: endpoints that are planned only.

import type { Route } from '../http/http.ts'
import { accountPaths, accountSchemas } from './accounts.ts'
import { entryPaths, entrySchemas } from './entries.ts'
import { operationPaths, operationSchemas } from './operations.ts'
import { commonSchemas } from './parts.ts'
import { receiptPaths, receiptSchemas } from './receipts.ts'
import { refusedPaths, refusedSchemas } from './refused.ts'
import { transactionPaths, transactionSchemas } from './transactions.ts'

export const openapi = {
  openapi: '3.1.0',
  info: {
    title: 'Transaction Ledger',
    version: '0.1.0',
    license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
  },
  paths: {
    ...transactionPaths,
    ...receiptPaths,
    ...accountPaths,
    ...entryPaths,
    ...refusedPaths,
    ...operationPaths,
  },
  components: {
    schemas: {
      ...transactionSchemas,
      ...receiptSchemas,
      ...accountSchemas,
      ...entrySchemas,
      ...refusedSchemas,
      ...operationSchemas,
      ...commonSchemas,
    },
  },
} as const

export const openapiRoute: Route = {
  method: 'GET',
  path: '/openapi.json',
  handle: () => ({ status: 200, contentType: 'application/json', body: JSON.stringify(openapi) }),
}
