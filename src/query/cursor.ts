// Where a page ended, as an opaque word for clients to hand back.
// In:  what is listed, in words; a position in it; which way to go on.
// Out: a cursor, and back.
// Absent: secrets: a cursor grants nothing. State: it never expires, since whatever was written or
//         taken away meanwhile, a position is still a position.

import { createHash } from 'node:crypto'
import type { HttpRequest } from '../http/http.ts'
import { Refusal } from './request.ts'

/*
 * cursor => base64url( UINT8 version 2, UINT8 0 onward | 1 backward, listing[4], position )
 *
 * `listing` is the beginning of the SHA-256 of what is listed: account, order, filters. In another
 * listing the position would mean another place, and entries would be missed without a word.
 */
const version = 2
const headBytes = 6

export interface Cursor {
  position: Uint8Array
  /** To the page before the position, not the one after. */
  isBackward: boolean
}

export function encodeCursor(listing: string, { position, isBackward }: Cursor): string {
  const head = [version, isBackward ? 1 : 0]
  return Buffer.concat([Buffer.from(head), digestOf(listing), position]).toString('base64url')
}

/** The `cursor` of a request, which must be one of this listing. */
export function cursorOf(
  { query }: HttpRequest,
  listing: string,
  isPosition: (bytes: Uint8Array) => boolean,
): Cursor | undefined {
  const found = query.get('cursor')
  if (found === null) return undefined
  const bytes = Buffer.from(found, 'base64url')
  // Node reads past characters that do not belong to the alphabet; only the one spelling is a
  // cursor.
  const isOurs =
    bytes.toString('base64url') === found &&
    bytes.length > headBytes &&
    bytes[0] === version &&
    bytes[1] <= 1
  if (isOurs && !bytes.subarray(2, headBytes).equals(digestOf(listing))) {
    const expected = 'a cursor of this listing, with the same path, order and filters'
    throw new Refusal('cursor', expected, `${found}, of another one`)
  }
  const position = new Uint8Array(bytes.subarray(headBytes))
  if (!isOurs || !isPosition(position)) {
    throw new Refusal('cursor', 'a next_cursor of an earlier page', found)
  }
  return { position, isBackward: bytes[1] === 1 }
}

function digestOf(listing: string): Buffer {
  return createHash('sha256').update(listing).digest().subarray(0, 4)
}
