// Replies that are one page of a listing, or one document, and may be asked for again.
// In:  the content, and the cursors of the pages beside it.
// Out: replies with Link (RFC 8288) and ETag (RFC 9110), or 304 where the client has it already.
// Absent: SQL; what is listed.

import { createHash } from 'node:crypto'
import type { HttpReply, HttpRequest } from '../http/http.ts'
import { encodeCursor } from './cursor.ts'
import { wholeNumberOf } from './request.ts'

const limitDefault = 100
const limitMax = 1000

/** How many items a page has at most. */
export function limitOf(request: HttpRequest): number {
  return wholeNumberOf(request, 'limit', limitDefault, limitMax)
}

/** Of requests; to be named in Route.headers. */
export const conditionalHeaders = ['if-none-match'] as const

export interface Neighbours {
  next: string | undefined
  previous: string | undefined
}

/** `next_cursor` and `prev_cursor` are null where there is no such page. */
export function pageReply(
  request: HttpRequest,
  content: Record<string, unknown>,
  { next, previous }: Neighbours,
): HttpReply {
  const links = [linkTo(request, 'first', undefined)]
  if (previous !== undefined) links.push(linkTo(request, 'prev', previous))
  if (next !== undefined) links.push(linkTo(request, 'next', next))
  const body = { ...content, next_cursor: next ?? null, prev_cursor: previous ?? null }
  return revalidated(request, JSON.stringify(body), { Link: links.join(', ') })
}

/** The reply with its ETag; 304 where the client has just this. */
export function revalidated(
  request: HttpRequest,
  body: string,
  more: Readonly<Record<string, string>> = {},
): HttpReply {
  const digest = createHash('sha256').update(body).digest('base64url').slice(0, 27)
  const etag = `"${digest}"`
  // A cache may keep it, but has to ask each time whether it still holds.
  const headers = { ...more, ETag: etag, 'Cache-Control': 'private, no-cache' }
  if (hasMatch(request.header('if-none-match'), etag)) {
    return { status: 304, contentType: '', headers, body: '' }
  }
  return { status: 200, contentType: 'application/json', headers, body }
}

/** By weak comparison, as RFC 9110 has it for If-None-Match. */
function hasMatch(header: string, etag: string): boolean {
  if (header.trim() === '*') return true
  const tags: readonly string[] = header.match(/"[^"]*"/g) ?? []
  return tags.includes(etag)
}

function linkTo({ path, query }: HttpRequest, relation: string, cursor: string | undefined) {
  const parameters = new URLSearchParams(query)
  parameters.delete('cursor')
  if (cursor !== undefined) parameters.set('cursor', cursor)
  const search = parameters.size === 0 ? '' : `?${parameters.toString()}`
  return `<${path}${search}>; rel="${relation}"`
}

/** The cursors of the pages beside this one. */
export function cursorsBeside<Item>(
  listing: string,
  asked: { isBackward: boolean } | undefined,
  hasMore: boolean,
  page: readonly Item[],
  positionOf: (item: Item) => Uint8Array | undefined,
): Neighbours {
  const { hasNext, hasPrevious } = neighboursOf(asked, hasMore)
  const cursorAt = (item: Item | undefined, isBackward: boolean): string | undefined => {
    const position = item && positionOf(item)
    return position && encodeCursor(listing, { position, isBackward })
  }
  return {
    next: hasNext ? cursorAt(page.at(-1), false) : undefined,
    previous: hasPrevious ? cursorAt(page.at(0), true) : undefined,
  }
}

/** What a page that was read with one row more than asked for says of its neighbours. */
function neighboursOf(
  asked: { isBackward: boolean } | undefined,
  hasMore: boolean,
): { hasNext: boolean; hasPrevious: boolean } {
  if (asked === undefined) return { hasNext: hasMore, hasPrevious: false }
  // On the side that the client comes from there was a page, or there would be no cursor.
  return asked.isBackward
    ? { hasNext: true, hasPrevious: hasMore }
    : { hasNext: hasMore, hasPrevious: true }
}
