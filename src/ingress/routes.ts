// POST /v1/transactions: a body becomes durable records, and only then an acknowledgement.
// In:  requests with their bodies whole.
// Out: 202 with a receipt once every item is durable in the log, 201 with outcomes where the client
//      waits for them and they come in time, or a problem document.
// Absent: PostgreSQL, how bodies arrive (http/), what the log is.

import { balanceFault } from '../batch/balance.ts'
import { RequestBatch, type Batch, type RequestFault } from '../batch/batch.ts'
import { faultText } from '../batch/fault.ts'
import { parseJson } from '../batch/parse-json.ts'
import { parseProtobuf } from '../batch/parse-protobuf.ts'
import { LedgerError, messageOf } from '../errors.ts'
import type { ByteBudget } from '../http/budget.ts'
import type { HttpReply, HttpRequest, Route } from '../http/http.ts'
import { problem } from '../http/problem.ts'
import { decodeBodyBytesMin } from '../limits.ts'
import type { Log } from '../log/log.ts'
import type { Logger } from '../observe/logger.ts'
import { metrics } from '../observe/metrics.ts'
import {
  digestOf,
  type Receipts,
  type RequestItems,
  type RequestRecords,
} from '../receipt/receipt.ts'
import type { Settlement } from '../receipt/settlement.ts'
import { entryBytes } from '../record/layout.ts'
import { crashPoint } from '../testing/crash.ts'
import type { Appender } from './append.ts'
import type { DecodePool } from './decode-pool.ts'
import { parametersOf, type Parameters } from './parameters.ts'
import { cannotSettle, Settling } from './settling.ts'

export interface IngressRoutesOptions {
  log: Log
  doubt: () => string | undefined
  appender: Appender
  /** The one the appender has as well. */
  budget: ByteBudget
  /** Absent: every body is read on the main thread. */
  decoder: DecodePool | undefined
  receipts: Receipts
  /** Absent: nobody here can look into the tables, and `wait` is refused. */
  settlement: Settlement | undefined
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
      handle: (request) => handle(options, request, batch),
    },
  ]
}

async function handle(
  options: IngressRoutesOptions,
  request: HttpRequest,
  batch: RequestBatch,
): Promise<HttpReply> {
  const parameters = parametersOf(request.query)
  if ('refusal' in parameters) return parameters.refusal
  const { settlement } = options
  if (parameters.waitMs === 0) return take(options, request, batch, parameters, undefined)
  if (settlement === undefined) return cannotSettle
  const settling = new Settling(settlement, options.budget, parameters.waitMs, request)
  try {
    return await take(options, request, batch, parameters, settling)
  } finally {
    settling.end()
  }
}

async function take(
  options: IngressRoutesOptions,
  request: HttpRequest,
  batch: RequestBatch,
  parameters: Parameters,
  settling: Settling | undefined,
): Promise<HttpReply> {
  const { log, doubt, receipts, logger } = options
  const started = performance.now()
  const reason = log.unavailable() ?? doubt()
  if (reason !== undefined) throw new LedgerError('LOG_UNAVAILABLE', reason)
  const isJson = request.contentType === 'application/json'
  const isLarge = isJson && request.body.length >= decodeBodyBytesMin
  const { balanced } = parameters
  const add = (parsed: Batch): Taken => addTo(options, parsed, settling)
  const outcome =
    isLarge && options.decoder
      ? await options.decoder.decode(request.keepBody(), add, balanced)
      : readHere(request, batch, balanced, add)
  if (!('taken' in outcome)) return invalid(outcome)
  const { items, durable } = outcome.taken
  const records = await durable.catch((error: unknown) => {
    logger.debug({ items: items.count, reason: messageOf(error) }, 'batch not acknowledged')
    throw error
  })
  crashPoint('after-append')

  metrics.accepted.inc(items.count)
  metrics.acknowledgeSeconds.observe((performance.now() - started) / 1000)
  const receipt = receipts.encode(log.identity, records, items)
  const accepted = { accepted: items.count, receipt }
  const outcomes = await settling?.outcomes(receipts, receipt)
  return {
    status: outcomes === undefined ? 202 : 201,
    contentType: 'application/json',
    body: JSON.stringify(outcomes === undefined ? accepted : { ...accepted, outcomes }),
  }
}

/** A request whose bytes are with the appender: body and batch are free for the next one. */
interface Taken {
  items: RequestItems
  durable: Promise<RequestRecords>
}

type Outcome = { taken: Taken } | RequestFault

function readHere(
  { body, contentType }: HttpRequest,
  batch: RequestBatch,
  balanced: boolean,
  add: (batch: Batch) => Taken,
): Outcome {
  const parse = contentType === 'application/json' ? parseJson : parseProtobuf
  const fault = parse(body, batch) ?? (balanced ? balanceFault(batch) : undefined)
  return fault ?? { taken: add(batch) }
}

function addTo(
  { log, doubt, appender }: IngressRoutesOptions,
  batch: Batch,
  settling: Settling | undefined,
): Taken {
  // Asked here, since the log may have gone while a thread was reading.
  const reason = log.unavailable() ?? doubt()
  if (reason !== undefined) throw new LedgerError('LOG_UNAVAILABLE', reason)
  settling?.keep(batch)
  const { count, entries } = batch
  const digest = digestOf(entries.subarray(0, count * entryBytes))
  return { items: { count, digest }, durable: appender.add(batch) }
}

function invalid(fault: RequestFault): HttpReply {
  const detail = `${faultText(fault)} Nothing of this request was taken.`
  return problem(400, 'Invalid request', detail, { ...fault })
}
