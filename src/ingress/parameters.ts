// The query parameters of POST /v1/transactions.
// In:  a query string, parsed.
// Out: what they ask for, or the problem document that refuses them.
// Absent: doing it.

import type { HttpReply } from '../http/http.ts'
import { problem } from '../http/problem.ts'
import { parseWait, waitExpected } from '../receipt/wait.ts'

export interface Parameters {
  /** How long to wait for the items to be persisted; 0 for an acknowledgement at once. */
  waitMs: number
  /** The amounts of each id must sum to zero. */
  balanced: boolean
}

const none: Parameters = { waitMs: 0, balanced: false }

const known = ['wait', 'balanced']

export function parametersOf(query: URLSearchParams): Parameters | { refusal: HttpReply } {
  if (query.size === 0) return none
  for (const name of query.keys()) {
    if (!known.includes(name)) {
      return refused(name, `only ${known.join(' and ')}`, 'an unknown query parameter')
    }
    const times = query.getAll(name).length
    if (times > 1) return refused(name, 'it once at most', `it ${times} times`)
  }
  const [wait, balanced] = [query.get('wait') ?? '0s', query.get('balanced') ?? 'false']
  const waitMs = parseWait(wait)
  if (waitMs === undefined) return refused('wait', waitExpected, wait)
  if (balanced !== 'true' && balanced !== 'false') {
    return refused('balanced', 'true or false', balanced)
  }
  return { waitMs, balanced: balanced === 'true' }
}

function refused(field: string, expected: string, value: string): { refusal: HttpReply } {
  // What a client sends is shown back to it, but not at any length.
  const found = value.length > 100 ? `${value.slice(0, 100)}…` : value
  const what = `expected ${expected}, found ${found === '' ? 'nothing' : found}`
  const detail = `${field}: ${what}. Nothing of this request was taken.`
  return { refusal: problem(400, 'Invalid request', detail, { field, expected, found }) }
}
