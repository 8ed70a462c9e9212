// A line of the file as a transaction, or what is wrong with it.
// In:  lines of CSV or of NDJSON.
// Out: transactions that the ledger can take as far as their form goes; faults.
// Absent: files, ids for lines that have none (ids.ts). No amount is ever a double.

import { importLineBytesMax } from '../../limits.ts'
import type { Line } from './lines.ts'

export interface Row {
  line: Line
  /** Undefined where the line has none. */
  id: string | undefined
  account_id: string
  amount: bigint
}

/** Why a line is not taken. */
export interface Fault {
  field?: string
  expected: string
  found: string
}

const names = ['id', 'account_id', 'amount'] as const
type Name = (typeof names)[number]

/** Values as they stand in a line. */
type Values = Partial<Record<Name, string>>

export function isFault(outcome: Row | Fault): outcome is Fault {
  return 'expected' in outcome
}

export function tooLong(): Fault {
  return { expected: `a line of at most ${importLineBytesMax} bytes`, found: 'a longer one' }
}

const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i
const int64Min = -(2n ** 63n)
const int64Max = 2n ** 63n - 1n

function rowOf(line: Line, { id, account_id: accountId, amount }: Values): Row | Fault {
  if (id !== undefined && !uuid.test(id)) return fault('id', 'a UUID', id)
  if (accountId === undefined || !uuid.test(accountId)) {
    return fault('account_id', 'a UUID', accountId)
  }
  const isWhole = amount !== undefined && /^-?(0|[1-9]\d{0,18})$/.test(amount)
  const value = isWhole ? BigInt(amount) : undefined
  if (value === undefined || value < int64Min || value > int64Max) {
    return fault('amount', `an integer from ${int64Min} to ${int64Max}`, amount)
  }
  return { line, id, account_id: accountId, amount: value }
}

function fault(field: string, expected: string, found: string | undefined): Fault {
  return { field, expected, found: found === undefined || found === '' ? 'nothing' : shown(found) }
}

function shown(text: string): string {
  return text.length > 100 ? `${text.slice(0, 100)}…` : text
}

/** Which column holds what; null for one that is ignored. */
export type Columns = readonly (Name | null)[]

/** Reads the header of a CSV file. */
export function columnsOf(header: string, ignoresUnknown: boolean): Columns | Fault {
  const fields = splitCsv(header.replace(/^\uFEFF/, ''))
  if (!Array.isArray(fields)) return fields
  const columns = fields.map((field) => names.find((name) => name === field) ?? null)
  const unknown = fields.find((_, i) => columns[i] === null)
  const expected = `a header of ${names.join(', ')}`
  if (unknown !== undefined && !ignoresUnknown) {
    return { field: 'header', expected: `${expected} (or --ignore-unknown)`, found: shown(header) }
  }
  for (const name of names) {
    const times = columns.filter((column) => column === name).length
    if (times > 1 || (times === 0 && name !== 'id')) {
      return { field: 'header', expected: `${expected}, each once`, found: shown(header) }
    }
  }
  return columns
}

export function csvRow(line: Line, columns: Columns): Row | Fault {
  const fields = splitCsv(line.text)
  if (!Array.isArray(fields)) return fields
  if (fields.length !== columns.length) {
    return { expected: `${columns.length} fields`, found: `${fields.length}` }
  }
  const values: Values = {}
  columns.forEach((name, i) => {
    if (name !== null && (name !== 'id' || fields[i] !== '')) values[name] = fields[i]
  })
  return rowOf(line, values)
}

/** Fields as RFC 4180 quotes them, except that none goes over the end of its line. */
function splitCsv(text: string): string[] | Fault {
  if (!text.includes('"')) return text.split(',').map((field) => field.trim())
  const fields: string[] = []
  const field = /(?:[ \t]*"((?:[^"]|"")*)"[ \t]*|([^",]*))(,|$)/y
  for (;;) {
    const match = field.exec(text)
    if (match === null) {
      const expected = 'quotes around whole fields, closed on their line'
      return { expected, found: shown(text) }
    }
    fields.push(match[1]?.replaceAll('""', '"') ?? match[2].trim())
    if (match[3] === '') return fields
  }
}

const member =
  /\s*"((?:[^"\\]|\\.)*)"\s*:\s*(?:("(?:[^"\\]|\\.)*")|(-?\d[\d.eE+-]*|true|false|null))\s*([,}])/y

/** One flat object: strings and numbers, whose digits are kept as they are. */
export function ndjsonRow(line: Line, ignoresUnknown: boolean): Row | Fault {
  const text = line.number === 1 ? line.text.replace(/^\uFEFF/, '') : line.text
  const flat = 'an object of strings and numbers'
  const opening = /^\s*\{/.exec(text)
  if (opening === null) return { expected: flat, found: shown(text) }
  const values: Values = {}
  const seen = new Set<string>()
  member.lastIndex = opening[0].length
  for (;;) {
    const match = member.exec(text)
    if (match === null) return { expected: flat, found: shown(text) }
    const [, key, quoted, plain, end] = match
    const name = names.find((one) => one === key)
    if (name === undefined && !ignoresUnknown) {
      return fault(shown(key), `only ${names.join(', ')} (or --ignore-unknown)`, 'this member')
    }
    if (seen.has(key)) return fault(shown(key), 'it once', 'it twice')
    seen.add(key)
    if (name !== undefined) {
      const value = quoted === undefined ? plain : unquoted(quoted)
      if (value === undefined) return fault(name, 'a JSON string', quoted)
      if (name !== 'amount' && quoted === undefined) return fault(name, 'a string', plain)
      values[name] = value
    }
    if (end === '}') break
  }
  const rest = text.slice(member.lastIndex)
  return rest.trim() === '' ? rowOf(line, values) : { expected: 'one object', found: shown(text) }
}

function unquoted(text: string): string | undefined {
  if (!text.includes('\\')) return text.slice(1, -1)
  try {
    return JSON.parse(text) as string
  } catch {
    return undefined
  }
}
