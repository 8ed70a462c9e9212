// How rows and places are written in findings.
// In:  bytes of tuples and entries.
// Out: text.
// Absent: judging them.

import { createHash } from 'node:crypto'
import { formatUuid } from '../../bytes/uuid.ts'
import { amountAt } from '../../ledger/chain/tuples.ts'
import { momentText, type Moment } from '../../ledger/moment.ts'

export interface Key {
  accountId: string
  id: string
}

/** account_id and id of a tuple. */
export function keyOf(tuple: Uint8Array): Key {
  return { accountId: formatUuid(tuple, 0), id: formatUuid(tuple, 16) }
}

export function amountOf(tuple: Uint8Array, at = amountAt): bigint {
  return new DataView(tuple.buffer, tuple.byteOffset, tuple.byteLength).getBigInt64(at)
}

export function keyText({ accountId, id }: Key): string {
  return `account ${accountId}, id ${id}`
}

/** Infinite moments have no text of their own. */
export function timeText(moment: Moment): string {
  return Number.isFinite(moment) ? momentText(moment) : 'the beginning'
}

/** In hexadecimal. */
export function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}
