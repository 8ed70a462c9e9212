// What the headers of a request say about the body that comes and the answer that is wanted.
// In:  header values.
// Out: how the body is framed, its media type, whether a type is acceptable.
// Absent: replies (refusal.ts), uWebSockets.js.

/**
 * Values by lower-case name; of a header that was sent more than once, all of them joined by ', '.
 */
export type Headers = ReadonlyMap<string, string>

/**
 * How long the body is: a number of bytes, or `chunked` when only its end will tell.
 *
 * `fault` means that two readers of these headers could disagree where the request ends, which is
 * how requests are smuggled past a proxy: it must be answered and the connection closed, nothing
 * after it read as a request.
 */
export type Framing = number | 'chunked' | { fault: string; status: 400 | 501 }

/**
 * Reads Content-Length and Transfer-Encoding. Two Content-Lengths arrive joined, and so are no
 * number.
 */
export function framingOf(headers: Headers): Framing {
  const length = headers.get('content-length')
  const coding = headers.get('transfer-encoding')
  if (headers.has('trailer')) {
    return { status: 400, fault: 'Expected no Trailer header: trailer fields are not read.' }
  }
  if (coding !== undefined) {
    if (length !== undefined) {
      return { status: 400, fault: 'Expected Content-Length or Transfer-Encoding, found both.' }
    }
    if (coding.toLowerCase() === 'chunked') return 'chunked'
    const found = JSON.stringify(coding)
    return { status: 501, fault: `Expected Transfer-Encoding: chunked, found ${found}.` }
  }
  if (length === undefined) return 0
  if (/^\d{1,15}$/.test(length)) return Number(length)
  const found = JSON.stringify(length)
  return { status: 400, fault: `Expected one Content-Length, a number of bytes, found ${found}.` }
}

export interface MediaType {
  /** Lower case, without parameters. */
  type: string
  /** Lower case; '' when absent. */
  charset: string
}

export function mediaTypeOf(contentType: string): MediaType {
  const [type = '', ...parameters] = contentType.split(';')
  let charset = ''
  for (const parameter of parameters) {
    const [name = '', value = ''] = parameter.split('=')
    if (name.trim().toLowerCase() === 'charset') {
      charset = value
        .trim()
        .replace(/^"(.*)"$/, '$1')
        .toLowerCase()
    }
  }
  return { type: type.trim().toLowerCase(), charset }
}

/** Whether an Accept header leaves room for one of these media types. */
export function isAcceptable(accept: string, types: readonly string[]): boolean {
  return preferredOf(accept, types) !== undefined
}

/**
 * The one of these media types that an Accept header likes best; `undefined` where it leaves room
 * for none. The most specific range that fits a type decides. Of types liked equally one that is
 * named goes before one that is only not excluded, and then the first.
 */
export function preferredOf<Type extends string>(
  accept: string,
  types: readonly Type[],
): Type | undefined {
  if (accept === '' || accept === '*/*') return types.at(0)
  const ranges = accept.split(',').map(rangeOf)
  let best: { type: Type; quality: number; generality: number } | undefined
  for (const type of types) {
    const fitting = [type, `${type.slice(0, type.indexOf('/'))}/*`, '*/*']
    const generality = fitting.findIndex((name) => ranges.some(({ range }) => range === name))
    const quality = ranges.find(({ range }) => range === fitting[generality])?.quality ?? 0
    const least = best ?? { quality: 0, generality: -1 }
    const isNamedBetter = quality === least.quality && generality < least.generality
    if (quality > least.quality || isNamedBetter) {
      best = { type, quality, generality }
    }
  }
  return best?.type
}

function rangeOf(text: string): { range: string; quality: number } {
  const [range = '', ...parameters] = text.split(';')
  const weight = parameters.find((one) => /^\s*q\s*=/i.test(one))
  const quality = weight === undefined ? 1 : Number(weight.slice(weight.indexOf('=') + 1))
  // A weight that is no number is none of the client's wishes that could be followed: as if it were
  // not there.
  return { range: range.trim().toLowerCase(), quality: Number.isNaN(quality) ? 1 : quality }
}
