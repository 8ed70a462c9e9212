// What the endpoints of the read API share: parameters, and the replies that are not an answer.
// In:  requests.
// Out: validated values, or problem documents that name the field, what was expected and what was
//      found.
// Absent: SQL, endpoints.

import { parseUuid } from '../bytes/uuid.ts'
import type { HttpReply, HttpRequest } from '../http/http.ts'
import { problem } from '../http/problem.ts'

export function accountOf({ parameters: [found = ''] }: HttpRequest): {
  text: string
  bytes: Uint8Array
} {
  const bytes = parseUuid(found)
  if (bytes === undefined) throw new Refusal('account_id', 'a UUID', found)
  return { text: found.toLowerCase(), bytes }
}

/** The id that a path names last. */
export function entryIdOf({ parameters }: HttpRequest): { text: string; bytes: Uint8Array } {
  const found = parameters.at(-1) ?? ''
  const bytes = parseUuid(found)
  if (bytes === undefined) throw new Refusal('id', 'a UUID', found)
  return { text: found.toLowerCase(), bytes }
}

/** A query parameter that is one of some words. */
export function choiceOf<Word extends string>(
  { query }: HttpRequest,
  name: string,
  words: readonly Word[],
  fallback: NoInfer<Word>,
): Word {
  const found = query.get(name)
  if (found === null) return fallback
  const word = words.find((one) => one === found)
  if (word === undefined) throw new Refusal(name, words.join(' or '), found)
  return word
}

/** A query parameter that is a whole number of at least 1. */
export function wholeNumberOf(
  { query }: HttpRequest,
  name: string,
  fallback: number,
  most: number,
): number {
  const found = query.get(name)
  if (found === null) return fallback
  const value = /^[1-9][0-9]{0,8}$/.test(found) ? Number(found) : 0
  if (value < 1 || value > most) {
    throw new Refusal(name, `a whole number from 1 to ${most}`, found)
  }
  return value
}

export function checkParameters({ query }: HttpRequest, known: readonly string[]): void {
  const expected = known.length === 0 ? 'no query parameters' : `only ${known.join(' and ')}`
  for (const name of query.keys()) {
    if (!known.includes(name)) throw new Refusal(name, expected, 'an unknown query parameter')
    const times = query.getAll(name).length
    if (times > 1) throw new Refusal(name, 'it once at most', `it ${times} times`)
  }
}

/** A request that cannot be answered as it is. */
export class Refusal extends Error {
  readonly reply: HttpReply

  constructor(field: string, expected: string, found: string, status: 400 | 410 = 400) {
    // What a client sends is shown back to it, but not at any length.
    const shown = found.length > 100 ? `${found.slice(0, 100)}…` : found
    const detail = `${field}: expected ${expected}, found ${shown === '' ? 'nothing' : shown}.`
    super(detail)
    const title = status === 400 ? 'Invalid request' : 'Gone'
    this.reply = problem(status, title, detail, { field, expected, found: shown })
  }
}

/** The answer, or the reply of a Refusal thrown on the way to it. */
export async function answered(answer: () => Promise<HttpReply>): Promise<HttpReply> {
  try {
    return await answer()
  } catch (error) {
    if (error instanceof Refusal) return error.reply
    throw error
  }
}

export function noSuchAccount(accountId: string): HttpReply {
  const detail = `Account ${accountId} has no entries in the ledger.`
  return problem(404, 'No such account', detail, { account_id: accountId })
}

export function json(body: Record<string, unknown>): HttpReply {
  return { status: 200, contentType: 'application/json', body: JSON.stringify(body) }
}
