// Says in a sentence why a body was refused.
// In:  a fault.
// Out: text for people.
// Absent: HTTP, what was or was not taken.

import type { RequestFault } from './batch.ts'

/** e.g. "Item 3, amount: expected an int64, found 1e3." */
export function faultText({ index, field, position, expected, found }: RequestFault): string {
  const item = index === undefined ? '' : `Item ${index}`
  const member = field === undefined ? '' : field
  const where = [item, member].filter((part) => part !== '').join(', ') || 'Body'
  const at = position === undefined ? '' : ` at byte ${position}`
  return `${where}: expected ${expected}, found ${found}${at}.`
}
