// POST /v1/transactions: a body becomes durable records, and only then an acknowledgement.
// In:  requests with their bodies whole.
// Out: 202 with a receipt once every item is durable in the log, or a problem document.
// Absent: PostgreSQL, how bodies arrive (http/), what the log is.

import { LedgerError, messageOf } from '../errors.ts'
import type { HttpReply, HttpRequest, Route } from '../http/http.ts'
import { problem } from '../http/problem.ts'
import { decodeBodyBytesMin } from '../limits.ts'
import type { Log } from '../log/log.ts'
import type { Logger } from '../observe/logger.ts'
import { metrics } from '../observe/metrics.ts'
import { crashPoint } from '../testing/crash.ts'
import type { Appender } from './append.ts'
import { RequestBatch, type Batch, type RequestFault } from './batch.ts'
import type { DecodePool } from './decode-pool.ts'
import { parseJson } from './parse-json.ts'
import { parseProtobuf } from './parse-protobuf.ts'
import type { Receipts } from './receipt.ts'
import type { Offsets } from './waiter.ts'

export interface IngressRoutesOptions {
  log: Log
  doubt: () => string | undefined
  appender: Appender
  /** Absent: every body is read on the main thread. */
  decoder: DecodePool | undefined
  receipts: Receipts
  logger: Logger
}

export function ingressRoutes(options: IngressRoutesOptions): Route[] {
  // One for all requests: it is filled and copied from before `take` first waits.
  const batch = new RequestBatch()
  return [
    {
      method: 'POST',
      path: '/v1/transactions',
      accepts: ['application/json', 'application/x-protobuf'],
      handle: (request) => take(options, request, batch),
    },
  ]
}

async function take(
  options: IngressRoutesOptions,
  request: HttpRequest,
  batch: RequestBatch,
): Promise<HttpReply> {
  const { log, doubt, receipts, logger } = options
  const started = performance.now()
  if (request.query.size > 0) return unknownParameters([...request.query.keys()].join(', '))
  const reason = log.unavailable() ?? doubt()
  if (reason !== undefined) throw new LedgerError('LOG_UNAVAILABLE', reason)
  const isJson = request.contentType === 'application/json'
  const isLarge = isJson && request.body.length >= decodeBodyBytesMin
  const outcome = isLarge
    ? await readAside(options, request, batch)
    : readHere(options, request, batch)
  if (!('taken' in outcome)) return invalid(outcome)
  const { count, durable } = outcome.taken
  const offsets = await durable.catch((error: unknown) => {
    logger.debug({ items: count, reason: messageOf(error) }, 'batch not acknowledged')
    throw error
  })
  crashPoint('after-append')

  metrics.accepted.inc(count)
  metrics.acknowledgeSeconds.observe((performance.now() - started) / 1000)
  const receipt = receipts.encode(log.identity, offsets)
  return {
    status: 202,
    contentType: 'application/json',
    body: JSON.stringify({ accepted: count, receipt }),
  }
}

/** A request whose bytes are with the appender: body and batch are free for the next one. */
interface Taken {
  count: number
  durable: Promise<Offsets>
}

type Outcome = { taken: Taken } | RequestFault

function readHere(
  options: IngressRoutesOptions,
  { body, contentType }: HttpRequest,
  batch: RequestBatch,
): Outcome {
  const parse = contentType === 'application/json' ? parseJson : parseProtobuf
  return parse(body, batch) ?? { taken: add(options, batch) }
}

/** In another thread, where there are any. */
function readAside(
  options: IngressRoutesOptions,
  request: HttpRequest,
  batch: RequestBatch,
): Outcome | Promise<Outcome> {
  const { decoder } = options
  if (decoder === undefined) return readHere(options, request, batch)
  return decoder.decode(request.keepBody(), (decoded) => add(options, decoded))
}

function add({ log, doubt, appender }: IngressRoutesOptions, batch: Batch): Taken {
  // Asked here, since the log may have gone while a thread was reading.
  const reason = log.unavailable() ?? doubt()
  if (reason !== undefined) throw new LedgerError('LOG_UNAVAILABLE', reason)
  return { count: batch.count, durable: appender.add(batch) }
}

function unknownParameters(found: string): HttpReply {
  const expected = 'no query parameters'
  const detail = `Expected ${expected}, found ${found}. Nothing of this request was taken.`
  return problem(400, 'Invalid request', detail, { expected, found })
}

/** e.g. "Item 3, amount: expected an int64, found 1e3. Nothing of this request was taken." */
function invalid({ index, field, position, expected, found }: RequestFault): HttpReply {
  const item = index === undefined ? '' : `Item ${index}`
  const member = field === undefined ? '' : field
  const where = [item, member].filter((part) => part !== '').join(', ') || 'Body'
  const at = position === undefined ? '' : ` at byte ${position}`
  const what = `expected ${expected}, found ${found}${at}`
  const detail = `${where}: ${what}. Nothing of this request was taken.`
  const places = {
    ...(index === undefined ? {} : { index }),
    ...(field === undefined ? {} : { field }),
    ...(position === undefined ? {} : { position }),
  }
  return problem(400, 'Invalid request', detail, { ...places, expected, found })
}
