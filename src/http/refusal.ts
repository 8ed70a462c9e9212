// Decides from the head of a request whether it can be taken at all, before a byte of its body is
// read.
// In:  what the router found, the headers, the limits.
// Out: the problem document to answer with, or nothing.
// Absent: connections, bodies.

import type { HttpReply, Route } from './http.ts'
import { isAcceptable, mediaTypeOf, type Framing, type Headers } from './negotiation.ts'
import { problem } from './problem.ts'
import type { Found } from './router.ts'

const problemType = 'application/problem+json'

export const overloaded = problem(
  503,
  'Overloaded',
  'More requests are under way than this server may hold. Nothing of this one was taken.',
)

export const tooManyStreams = problem(
  503,
  'Overloaded',
  'More replies are being streamed than this server may have at a time.',
)

export const unreadBeforeStream = problem(
  400,
  'Invalid request',
  'Expected no body, or a short one of declared length, where the reply is a stream.',
)

export function tooLarge(bytesMax: number, found: string): HttpReply {
  const expected = `at most ${bytesMax} bytes`
  const detail = `Expected a body of ${expected}, found ${found}.`
  return problem(413, 'Body too large', detail, { expected, found })
}

export function tooSlow(deadlineMs: number): HttpReply {
  const detail = `Expected the whole body within ${deadlineMs} ms after its head.`
  return problem(408, 'Request timeout', detail)
}

/** The reply when there is no route. */
export function unrouted(
  found: Exclude<Found, { kind: 'route' }>,
  method: string,
  path: string,
): HttpReply {
  switch (found.kind) {
    case 'none':
      return problem(404, 'Not found', `Nothing is at ${path}.`)
    case 'malformed': {
      const expected = 'percent-encoded UTF-8'
      const detail = `Expected ${expected} in the path, found ${JSON.stringify(found.segment)}.`
      return problem(400, 'Invalid request', detail, { expected, found: found.segment })
    }
    case 'method': {
      const detail = `${path} takes ${found.allow}, not ${method}.`
      const reply = problem(405, 'Method not allowed', detail, { allowed: found.allow.split(', ') })
      return { ...reply, headers: { Allow: found.allow } }
    }
  }
}

/** The reply when the route cannot take what the headers announce. */
export function refusalOf(
  route: Route,
  headers: Headers,
  framing: Framing,
  bodyBytesMax: number,
): HttpReply | undefined {
  if (route.method === 'POST') {
    if (typeof framing === 'number' && framing > bodyBytesMax) {
      return tooLarge(bodyBytesMax, `${framing}`)
    }
    const refusal = unsupportedBody(route, headers)
    if (refusal) return refusal
  }
  const produced = [route.produces ?? 'application/json'].flat()
  if (isAcceptable(headers.get('accept') ?? '', [...produced, problemType])) return undefined
  const expected = produced.join(' or ')
  const found = headers.get('accept')
  const detail = `Expected an Accept header that admits ${expected}, found ${found}.`
  return problem(406, 'Not acceptable', detail, { expected, found })
}

function unsupportedBody(route: Route, headers: Headers): HttpReply | undefined {
  const contentType = headers.get('content-type') ?? ''
  const { type, charset } = mediaTypeOf(contentType)
  const accepts = route.accepts ?? []
  const isUtf8 = charset === '' || charset === 'utf-8' || charset === 'utf8'
  if (!accepts.includes(type) || !isUtf8) {
    const expected = accepts.join(' or ')
    const found = contentType === '' ? 'none' : contentType
    const wanted = `Content-Type ${expected}, with charset utf-8 or none`
    const detail = `Expected ${wanted}, found ${found}.`
    const reply = problem(415, 'Unsupported media type', detail, { expected, found })
    return { ...reply, headers: { 'Accept-Post': accepts.join(', ') } }
  }
  const coding = headers.get('content-encoding')
  if (coding === undefined || coding.toLowerCase() === 'identity') return undefined
  const detail = `Expected a body without Content-Encoding, found ${coding}.`
  const extra = { expected: 'identity', found: coding }
  const reply = problem(415, 'Unsupported content coding', detail, extra)
  return { ...reply, headers: { 'Accept-Encoding': 'identity' } }
}
