// GET /v1/quarantine…: log records that could not be decoded, and their bytes.
// In:  requests.
// Out: replies.
// Absent: SQL (ledger/quarantine.ts), repairing anything: `transaction-ledger quarantine` sends the
//         bytes through ingress again.

import type { HttpReply, HttpRequest, Route } from '../http/http.ts'
import { problem } from '../http/problem.ts'
import {
  quarantinedAt,
  quarantinedBytes,
  quarantineKey,
  quarantinePage,
  quarantinePosition,
  type QuarantinedRecord,
} from '../ledger/quarantine.ts'
import type { ReadDatabases } from '../ledger/read-databases.ts'
import { partitionCount } from '../record/layout.ts'
import { cursorOf } from './cursor.ts'
import { conditionalHeaders, limitOf, cursorsBeside, pageReply, revalidated } from './page.ts'
import { answered, checkParameters, Refusal } from './request.ts'

const listing = 'quarantine'
const bytesType = 'application/octet-stream'

export function quarantineRoutes(databases: ReadDatabases): Route[] {
  return [
    {
      method: 'GET',
      path: '/v1/quarantine',
      headers: conditionalHeaders,
      handle: (request) => answered(() => list(databases.until(request.signal), request)),
    },
    {
      method: 'GET',
      path: '/v1/quarantine/{partition}/{offset}',
      headers: conditionalHeaders,
      handle: (request) =>
        answered(async () => {
          const found = await recordOf(databases.until(request.signal), request)
          return 'status' in found ? found : revalidated(request, JSON.stringify(shown(found)))
        }),
    },
    {
      method: 'GET',
      path: '/v1/quarantine/{partition}/{offset}/bytes',
      produces: bytesType,
      handle: (request) => answered(() => bytes(databases.until(request.signal), request)),
    },
  ]
}

async function list(databases: ReadDatabases, request: HttpRequest): Promise<HttpReply> {
  checkParameters(request, ['limit', 'cursor'])
  const limit = limitOf(request)
  const cursor = cursorOf(request, listing, (position) => positionIn(position) !== undefined)
  const isBackward = cursor?.isBackward ?? false
  const past = cursor && positionIn(cursor.position)
  const found = await quarantinePage(databases, limit + 1, !isBackward, past)
  const page = found.slice(0, limit)
  if (isBackward) page.reverse()
  return pageReply(
    request,
    { records: page.map(shown) },
    cursorsBeside(listing, cursor, found.length > limit, page, ({ key }) => Buffer.from(key)),
  )
}

async function bytes(databases: ReadDatabases, request: HttpRequest): Promise<HttpReply> {
  const found = await recordOf(databases, request)
  if ('status' in found) return found
  const { partition, offset, logIdentity } = found
  const position = { partition, offset: BigInt(offset), logIdentity }
  const body = await quarantinedBytes(databases, position)
  if (body === undefined) return nothingAt(partition, offset)
  const file = `quarantine-${partition}-${offset}.bin`
  const headers = { 'Content-Disposition': `attachment; filename="${file}"` }
  return { status: 200, contentType: bytesType, headers, body }
}

/** The record that the path and `log_identity` name, or the reply when there is not one. */
async function recordOf(
  databases: ReadDatabases,
  request: HttpRequest,
): Promise<QuarantinedRecord | HttpReply> {
  checkParameters(request, ['log_identity'])
  const [partitionText = '', offsetText = ''] = request.parameters
  const partition = /^\d{1,3}$/.test(partitionText) ? Number(partitionText) : partitionCount
  if (partition >= partitionCount) {
    const expected = `a whole number from 0 to ${partitionCount - 1}`
    throw new Refusal('partition', expected, partitionText)
  }
  const offset = /^\d{1,19}$/.test(offsetText) ? BigInt(offsetText) : 2n ** 63n
  if (offset >= 2n ** 63n) {
    throw new Refusal('offset', 'a whole number from 0 to 9223372036854775807', offsetText)
  }
  const wanted = request.query.get('log_identity')
  const all = await quarantinedAt(databases, partition, offset)
  const found = wanted === null ? all : all.filter(({ logIdentity }) => logIdentity === wanted)
  if (found.length === 0) return nothingAt(partition, String(offset))
  if (found.length === 1) return found[0]
  const logs = found.map(({ logIdentity }) => logIdentity)
  const detail =
    `Records of ${found.length} logs are kept from partition ${partition}, offset ${offset}: ` +
    'expected log_identity to say which.'
  return problem(409, 'Ambiguous record', detail, {
    field: 'log_identity',
    expected: logs.join(' or '),
    found: 'nothing',
  })
}

function nothingAt(partition: number, offset: string): HttpReply {
  const detail = `No record of partition ${partition}, offset ${offset} is in quarantine.`
  return problem(404, 'No such record', detail, { partition, offset })
}

function positionIn(bytes: Uint8Array): ReturnType<typeof quarantinePosition> {
  const key = Buffer.from(bytes).toString()
  const position = quarantinePosition(key)
  return position && quarantineKey(position) === key ? position : undefined
}

function shown(record: QuarantinedRecord): Record<string, unknown> {
  return {
    partition: record.partition,
    offset: record.offset,
    log_identity: record.logIdentity,
    reason: record.reason,
    size: record.size,
    created_at: record.createdAt,
    quarantined_at: record.quarantinedAt,
  }
}
