// The OpenAPI 3.1 document of the endpoints that exist, served at /openapi.json.
// In:  the descriptions of each area.
// Out: the document, and the routes that serve it, to programs and to people.
// Absent: endpoints that are planned only.

import type { Route } from '../http/http.ts'
import { accountPaths, accountSchemas } from './accounts.ts'
import { entryPaths, entrySchemas } from './entries.ts'
import { operationPaths, operationSchemas } from './operations.ts'
import { withExamples } from './examples.ts'
import { documentPage } from './page.ts'
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
  paths: withExamples({
    ...transactionPaths,
    ...receiptPaths,
    ...accountPaths,
    ...entryPaths,
    ...refusedPaths,
    ...operationPaths,
  }),
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

const documentText = JSON.stringify(openapi)

/** The page needs nothing but its own style, and a browser is told to hold it to that. */
const pageHeaders = {
  'Content-Security-Policy': "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'",
}

export const openapiRoutes: readonly Route[] = [
  {
    method: 'GET',
    path: '/openapi.json',
    handle: () => ({ status: 200, contentType: 'application/json', body: documentText }),
  },
  {
    method: 'GET',
    path: '/docs',
    produces: 'text/html',
    headers: ['host'],
    handle: (request) => ({
      status: 200,
      contentType: 'text/html; charset=utf-8',
      headers: pageHeaders,
      body: documentPage(openapi, originOf(request.header('host'))),
    }),
  },
]

/** As the reader reached this server, so that the curl lines can be pasted. */
function originOf(host: string): string {
  return /^[a-z0-9.:[\]-]{1,255}$/i.test(host) ? `http://${host}` : 'http://127.0.0.1:7070'
}
