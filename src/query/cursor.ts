// Where a page ended, as an opaque word for clients to hand back.
// In:  the id of the page's last entry.
// Out: a cursor, and back.
// Absent: the account (the path names it), secrets: a cursor grants nothing.

import { uuidBytes } from '../record/layout.ts'

/*
 * cursor => base64url( UINT8 version 1, id[16] )
 */
const version = 1

export function encodeCursor(id: Uint8Array): string {
  return Buffer.from([version, ...id]).toString('base64url')
}

/** The id, or `undefined` when this is no cursor of ours. */
export function decodeCursor(text: string): Uint8Array | undefined {
  const bytes = Buffer.from(text, 'base64url')
  // Node reads past characters that do not belong to the alphabet; only the one spelling is a
  // cursor.
  if (bytes.toString('base64url') !== text) return undefined
  if (bytes.length !== 1 + uuidBytes || bytes[0] !== version) return undefined
  return new Uint8Array(bytes.subarray(1))
}
