// The events of GET /v1/changes as text.
// In:  batches, cursors.
// Out: JSON lines, or server-sent events (https://html.spec.whatwg.org/#server-sent-events).
// Absent: anything that waits.

import type { Batch } from '../ledger/changes.ts'
import { momentText } from '../ledger/moment.ts'

export interface ChangesTexts {
  contentType: string
  /** Rows of a partition, and from where to go on after them. */
  batch(batch: Batch, cursor: string): string
  /** From where to go on: at the beginning, at the end, and when nothing happened for a while. */
  position(cursor: string): string
}

/*
 * line     => batch or position, as JSON, and "\n"
 * batch    => { partition, transactions: [{ id, account_id, amount, created_at }], cursor }
 * position => { cursor }
 */
export const lineTexts: ChangesTexts = {
  contentType: 'application/x-ndjson',
  batch: (batch, cursor) => `${batchJson(batch, cursor)}\n`,
  position: (cursor) => `{"cursor":"${cursor}"}\n`,
}

/** Each has its cursor as its id, so that browsers go on by themselves. */
export const eventTexts: ChangesTexts = {
  contentType: 'text/event-stream',
  batch: (batch, cursor) => `id: ${cursor}\nevent: batch\ndata: ${batchJson(batch, cursor)}\n\n`,
  position: (cursor) => `id: ${cursor}\nevent: position\ndata: {"cursor":"${cursor}"}\n\n`,
}

/** Put together by hand: nothing in it needs to be escaped. */
function batchJson({ partition, rows }: Batch, cursor: string): string {
  let text = `{"partition":${partition},"transactions":[`
  let separator = ''
  let moment = NaN
  let createdAt = ''
  for (const row of rows) {
    if (row.createdAt !== moment) {
      moment = row.createdAt
      createdAt = momentText(moment)
    }
    text +=
      `${separator}{"id":"${row.id}","account_id":"${row.accountId}",` +
      `"amount":"${row.amount}","created_at":"${createdAt}"}`
    separator = ','
  }
  return `${text}],"cursor":"${cursor}"}`
}
