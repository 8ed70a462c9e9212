// Why some bytes are not a batch of transactions: where, what was expected, what was found.
// In:  what the walker and the parsers find.
// Out: plain data, and one sentence for logs and the quarantine table.
// Absent: exceptions. A fault is returned, since bad bytes are ordinary.

export type EntryField = 'id' | 'account_id' | 'amount'

/** A fault in bytes. `batch/batch.ts` has the same shape for requests. */
export interface RecordFault {
  /** Position of the entry in its batch. */
  index?: number
  /** The field at fault, where it is one of the three. */
  field?: EntryField
  /** Offset into the record or body, in bytes. */
  position: number
  expected: string
  found: string
}

/** e.g. `Entry 3, account_id, byte 155: expected 16 bytes, found 15 bytes.` */
export function faultText(fault: RecordFault): string {
  const places: string[] = []
  if (fault.index !== undefined) places.push(`entry ${fault.index}`)
  if (fault.field !== undefined) places.push(fault.field)
  places.push(`byte ${fault.position}`)
  const where = places.join(', ')
  const sentence = `${where}: expected ${fault.expected}, found ${fault.found}.`
  return sentence.charAt(0).toUpperCase() + sentence.slice(1)
}
