// GET /v1/accounts/{account_id}/transactions/export: all entries of an account or of a range, in
// one reply.
// In:  requests.
// Out: streams of NDJSON, CSV or Arrow, as fast as they are taken.
// Absent: SQL (ledger/export.ts), how rows are written (export-text.ts, export-arrow.ts).

import { LedgerError } from '../errors.ts'
import type { HttpReply, HttpRequest, Route, Stream } from '../http/http.ts'
import { preferredOf } from '../http/negotiation.ts'
import { hasEntries } from '../ledger/entries.ts'
import { exportedRows, type ExportOptions } from '../ledger/export.ts'
import type { ReadDatabases } from '../ledger/read-databases.ts'
import { exportsMax } from '../limits.ts'
import { csvEncoder, ndjsonEncoder, type RowEncoder } from './export-text.ts'
import { accountOf, answered, checkParameters, choiceOf, noSuchAccount } from './request.ts'
import { idSpanOf } from './span.ts'

const formats = ['ndjson', 'csv', 'arrow'] as const
type Format = (typeof formats)[number]

/** The first is what is sent to whoever has no wish. */
const exportTypes = [
  'application/x-ndjson',
  'text/csv',
  'application/vnd.apache.arrow.stream',
] as const

const formatOfType: Readonly<Record<(typeof exportTypes)[number], Format>> = {
  'application/x-ndjson': 'ndjson',
  'text/csv': 'csv',
  'application/vnd.apache.arrow.stream': 'arrow',
}

const contentTypes: Readonly<Record<Format, string>> = {
  ndjson: 'application/x-ndjson',
  csv: 'text/csv; charset=utf-8; header=present',
  arrow: 'application/vnd.apache.arrow.stream',
}

export function exportRoutes(databases: ReadDatabases): Route[] {
  const exports = new Exports(databases)
  return [
    {
      method: 'GET',
      path: '/v1/accounts/{account_id}/transactions/export',
      produces: exportTypes,
      headers: ['accept'],
      handle: (request) => answered(() => exports.answer(request)),
    },
  ]
}

/** The exports under way: they hold connections, so there may not be many. */
class Exports {
  readonly #databases: ReadDatabases
  #underWay = 0

  constructor(databases: ReadDatabases) {
    this.#databases = databases
  }

  async answer(request: HttpRequest): Promise<HttpReply> {
    const { text, bytes: accountId } = accountOf(request)
    checkParameters(request, ['format', 'from', 'to', 'order'])
    const wished = preferredOf(request.header('accept'), exportTypes) ?? exportTypes[0]
    const format = choiceOf(request, 'format', formats, formatOfType[wished])
    const order = choiceOf(request, 'order', ['asc', 'desc'], 'asc')
    const span = idSpanOf(request)
    const { signal } = request
    if (!(await hasEntries(this.#databases.until(signal), accountId))) return noSuchAccount(text)
    const headers = {
      'Content-Disposition': `attachment; filename="${text}.${format}"`,
      Vary: 'Accept',
    }
    const encoder = await encoderOf(format, text, accountId)
    const body = this.#stream(encoder, { accountId, order, ...span, rows: encoder.rows, signal })
    return { status: 200, contentType: contentTypes[format], headers, body }
  }

  async *#stream(encoder: RowEncoder, options: ExportOptions): Stream {
    if (this.#underWay >= exportsMax) {
      const message = `${exportsMax} exports are under way, and more are not at a time.`
      throw new LedgerError('OVERLOADED', message)
    }
    this.#underWay += 1
    try {
      let head: Uint8Array | undefined = encoder.begin()
      for await (const rows of exportedRows(this.#databases, options)) {
        // Not before there are rows: until then an error can still be told as one.
        if (head !== undefined) yield head
        head = undefined
        yield encoder.encode(rows)
      }
      if (head !== undefined) yield head
      yield encoder.end()
    } finally {
      this.#underWay -= 1
    }
  }
}

async function encoderOf(
  format: Format,
  accountText: string,
  accountId: Uint8Array,
): Promise<RowEncoder> {
  if (format === 'ndjson') return ndjsonEncoder(accountText)
  if (format === 'csv') return csvEncoder(accountText)
  const { arrowEncoder } = await import('./export-arrow.ts')
  return arrowEncoder(accountId)
}
