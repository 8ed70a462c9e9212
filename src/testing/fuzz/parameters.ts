// Fuzzes what is read from the head of a request: parameters, paths, and the headers that say where
// a body ends.
// In:  bytes; the first says which parser the rest is for.
// Out: a Disagreement where one takes what it must not, or throws anything but a refusal.
// Absent: uWebSockets.js, which has split the head already.

import type { HttpRequest, Route } from '../../http/http.ts'
import { framingOf, mediaTypeOf, preferredOf } from '../../http/negotiation.ts'
import { Router } from '../../http/router.ts'
import { parametersOf } from '../../ingress/parameters.ts'
import { waitMsMax } from '../../limits.ts'
import { momentOf } from '../../query/moment.ts'
import { checkParameters, choiceOf, wholeNumberOf } from '../../query/request.ts'
import { parseWait } from '../../receipt/wait.ts'
import type { Random } from '../random.ts'
import { readMoment } from './moment-grammar.ts'
import { assertSame, bytesOf, Disagreement, type Target, type Verdict } from './target.ts'
import { unlessRefused } from './refusal.ts'

interface Parser {
  /** Texts that mean something to it. */
  examples: readonly string[]
  check(text: string): Verdict
}

const digits = new Set('0123456789')

function isDigits(text: string): boolean {
  return text !== '' && Array.from(text).every((character) => digits.has(character))
}

const wait: Parser = {
  examples: ['5s', '250ms', '0s', '30s', '30000ms', '31s', '99999ms', '00005s'],
  check(text) {
    const unit = text.endsWith('ms') ? 'ms' : 's'
    const number = text.endsWith(unit) ? text.slice(0, -unit.length) : ''
    const value = Number(number) * (unit === 's' ? 1000 : 1)
    const isTime = isDigits(number) && number.length <= 5 && value <= waitMsMax
    assertSame('milliseconds', parseWait(text), isTime ? value : undefined)
    return isTime ? 'taken' : 'refused'
  },
}

const posted: Parser = {
  examples: ['wait=5s&balanced=true', 'balanced=false', 'wait=1s&wait=1s', 'wait=%35s', '&&=', ''],
  check(text) {
    const query = new URLSearchParams(text)
    const found = parametersOf(query)
    const [names, values] = [[...query.keys()], new Map(query)]
    const waitMs = parseWait(values.get('wait') ?? '0s')
    const balanced = values.get('balanced') ?? 'false'
    const isFine =
      names.length === new Set(names).size &&
      names.every((name) => name === 'wait' || name === 'balanced') &&
      waitMs !== undefined &&
      (balanced === 'true' || balanced === 'false')
    if ('refusal' in found) {
      if (isFine) throw new Disagreement('Parameters were refused.', text, 'taken')
      assertSame('status', found.refusal.status, 400)
      return 'refused'
    }
    if (!isFine) throw new Disagreement('Parameters were taken.', text, 'refused')
    assertSame('wait', found.waitMs, waitMs)
    assertSame('balanced', String(found.balanced), balanced)
    return 'taken'
  },
}

const read: Parser = {
  examples: ['limit=100&order=asc', 'limit=1', 'limit=1000', 'limit=01', 'order=desc', 'limit=1e2'],
  check(text) {
    const request = { query: new URLSearchParams(text) } as HttpRequest
    const [limit, order] = [request.query.get('limit'), request.query.get('order')]
    const names = [...request.query.keys()]
    const isLimit =
      limit === null || (isDigits(limit) && limit.length <= 9 && !limit.startsWith('0'))
    const value = Number(limit ?? 7)
    const isFine =
      names.length === new Set(names).size &&
      names.every((name) => name === 'limit' || name === 'order') &&
      isLimit &&
      value <= 1000 &&
      [null, 'asc', 'desc'].includes(order)
    const found = unlessRefused(() => {
      checkParameters(request, ['limit', 'order'])
      const chosen = choiceOf(request, 'order', ['asc', 'desc'], 'desc')
      return `${wholeNumberOf(request, 'limit', 7, 1000)} ${chosen}`
    })
    assertSame('limit and order', found, isFine ? `${value} ${order ?? 'desc'}` : undefined)
    return isFine ? 'taken' : 'refused'
  },
}

const moment: Parser = {
  examples: [
    ...['2026-11-24T12:00:00Z', '2026-11-24T14:00:00.123456+02:00', '0001-01-01T00:00:00Z'],
    ...['9999-12-31T23:59:59.999999999-23:59', '2024-02-29t23:59:59z', '1900-02-29T00:00:00Z'],
    ...['2016-12-31T23:59:60Z', '0000-12-31T23:59:59-00:01', '9999-12-31T23:59:59-00:01'],
  ],
  check(text) {
    const request = { query: new URLSearchParams([['at', text]]) } as HttpRequest
    const found = unlessRefused(() => momentOf(request, 'at'))
    assertSame('instant', found, readMoment(text))
    return found === undefined ? 'refused' : 'taken'
  },
}

const framing: Parser = {
  examples: [
    '5',
    '0',
    '',
    '+5',
    '-1',
    '5, 5',
    '0x10',
    '1e3',
    ' 5',
    '5 ',
    'chunked',
    'Chunked',
    '٣',
  ],
  check(text) {
    const found = framingOf(new Map([['content-length', text]]))
    const isLength = isDigits(text) && text.length <= 15
    assertSame(
      'length',
      typeof found === 'number' ? found : undefined,
      isLength ? Number(text) : undefined,
    )
    const coded = framingOf(new Map([['transfer-encoding', text]]))
    assertSame('chunked', coded === 'chunked', text.toLowerCase() === 'chunked')
    const both = framingOf(new Map(['content-length', 'transfer-encoding'].map((n) => [n, text])))
    assertSame('both', typeof both, 'object')
    return isLength ? 'taken' : 'refused'
  },
}

const types = ['application/x-ndjson', 'text/csv', 'application/json'] as const

const accept: Parser = {
  examples: [
    ...['*/*', 'application/json', 'text/csv;q=0.5, application/*;q=0.2', 'application/json;q=0'],
    ...['a;;;q=', ',,,', 'text/csv; Q = 1', 'application/json; charset="utf-8"', '*/*;q=NaN'],
  ],
  check(text) {
    const found = preferredOf(text, types)
    if (found !== undefined && !types.includes(found)) {
      throw new Disagreement('preferred', found, types)
    }
    const { type, charset } = mediaTypeOf(text)
    assertSame('type', type, (text.split(';')[0] ?? '').trim().toLowerCase())
    assertSame('charset', charset, charset.toLowerCase())
    return found === undefined ? 'refused' : 'taken'
  },
}

const handle = (): never => {
  throw new Error('a router does not handle')
}
const paths = ['/v1/accounts/{account_id}', '/v1/accounts/{account_id}/transactions/{id}', '/livez']
const router = new Router(paths.map((path): Route => ({ method: 'GET', path, handle })))

const path: Parser = {
  examples: [
    ...['/v1/accounts/a', '/v1/accounts/%C3%A9/transactions/b', '/v1/accounts/%', '/livez/'],
    ...['/v1/accounts//transactions/', '/v1/accounts/%2f', '/v1/accounts/..', '/v1/accounts/%ff'],
  ],
  check(text) {
    const found = router.find('GET', text)
    const segments = text.split('/').slice(1)
    const isAccount = segments[0] === 'v1' && segments[1] === 'accounts' && text.startsWith('/')
    const isOne = isAccount && segments.length === 3
    const isTwo = isAccount && segments.length === 5 && segments[3] === 'transactions'
    const given = isTwo ? [segments[2], segments[4]] : isOne ? [segments[2]] : []
    const isKnown = text === '/livez' || (given.length > 0 && given.every((each) => each !== ''))
    const decoded = given.map(percentDecoded)
    const expected = !isKnown ? 'none' : decoded.includes(undefined) ? 'malformed' : 'route'
    assertSame('route', found.kind, expected)
    if (found.kind !== 'route') return 'refused'
    assertSame('parameters', found.parameters.join('\0'), decoded.join('\0'))
    return 'taken'
  },
}

/** Percent-encoded UTF-8, by way of bytes. */
function percentDecoded(text: string): string | undefined {
  if (/%(?![0-9a-fA-F]{2})/.test(text)) return undefined
  const bytes = Buffer.concat(
    text.split(/(%..)/).map((piece) => {
      return piece.startsWith('%') ? Buffer.from(piece.slice(1), 'hex') : Buffer.from(piece)
    }),
  )
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    return undefined
  }
}

const parsers = [wait, posted, read, moment, framing, accept, path]

export const parameters: Target = {
  name: 'parameters',
  title: 'query parameters, paths and headers',
  files: [
    ...['receipt/wait.ts', 'ingress/parameters.ts', 'query/moment.ts', 'http/negotiation.ts'],
    ...['http/router.ts'],
  ],
  dictionary: bytesOf([
    ...['%', '%00', '%2B', '%c3', '%c3%a9', '%ed%a0%80', '&', '=', ';', ',', '+', ' ', '\t', '\0'],
    ...['q=', 'q=0', '*/*', 'ms', 's', '-', ':', 'T', 'Z', '.', '00', '60', '24', '02-29', '99999'],
    ...['wait', 'limit', 'balanced', 'order', '__proto__', 'constructor', '/', '//', '..', '\xe9'],
  ]),
  generate(random: Random) {
    const kind = random.below(parsers.length)
    return Buffer.concat([Buffer.of(kind), Buffer.from(random.pick(parsers[kind].examples))])
  },
  check(input) {
    const kind = input.length === 0 ? 0 : input[0]
    const text = Buffer.from(input.buffer, input.byteOffset, input.byteLength).toString('utf8', 1)
    return parsers[kind % parsers.length].check(text)
  },
}
