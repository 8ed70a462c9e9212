// A JSON batch read by JSON.parse and a plain check of the schema.
// In:  a body.
// Out: its canonical entries, or undefined where it has to be refused.
// Absent: where a fault lies (json-grammar.ts).

import { encodeBatch, type Entry } from '../../record/encode.ts'

export function readParsed(body: Uint8Array): Uint8Array | undefined {
  try {
    const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(body)
    JSON.parse(text)
    const items = parseExactly(text)
    demand(Array.isArray(items) && items.length >= 1 && items.length <= 5000)
    const entries = items.map(readItem)
    demand(!hasContradiction(entries))
    return encodeBatch(entries)
  } catch {
    return undefined
  }
}

/**
 * JSON.parse of a valid text, in which numbers keep their digits and repeated keys stay apart: each
 * number becomes {"number":"…"}, and each key gets a running number before it.
 */
function parseExactly(text: string): unknown {
  let keys = 0
  const token = /("(?:[^"\\]|\\.)*")(\s*:)?|-?\d[\d.eE+-]*/g
  const exact = text.replace(token, (whole: string, string?: string, colon?: string) => {
    if (string === undefined) return `{"number":"${whole}"}`
    if (colon === undefined) return whole
    keys += 1
    return `"${keys} ${string.slice(1)}${colon}`
  })
  return JSON.parse(exact)
}

function readItem(item: unknown): Entry {
  demand(typeof item === 'object' && item !== null && !Array.isArray(item))
  const members = Object.entries(item).map(
    ([key, value]) => [key.replace(/^\d+ /, ''), value] as const,
  )
  demand(
    members
      .map(([key]) => key)
      .sort()
      .join() === 'account_id,amount,id',
  )
  const values = Object.fromEntries(members) as Record<string, unknown>
  return {
    id: uuid(values['id']),
    accountId: uuid(values['account_id']),
    amount: int64(values['amount']),
  }
}

function uuid(value: unknown): Uint8Array {
  demand(typeof value === 'string')
  demand(/^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i.test(value))
  return Buffer.from(value.replaceAll('-', ''), 'hex')
}

function int64(value: unknown): bigint {
  const isNumber = typeof value === 'object' && value !== null && 'number' in value
  const digits: unknown = isNumber ? value.number : value
  demand(typeof digits === 'string' && /^-?(0|[1-9][0-9]*)$/.test(digits))
  const amount = BigInt(digits)
  demand(BigInt.asIntN(64, amount) === amount)
  return amount
}

function hasContradiction(entries: readonly Entry[]): boolean {
  const amounts = new Map<string, bigint>()
  return entries.some(({ id, accountId, amount }) => {
    const identity = Buffer.concat([accountId, id]).toString('hex')
    const before = amounts.get(identity) ?? amount
    amounts.set(identity, amount)
    return before !== amount
  })
}

function demand(condition: boolean): asserts condition {
  if (!condition) throw new Error('refused')
}
