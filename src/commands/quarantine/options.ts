// The arguments of `transaction-ledger quarantine`.
// In:  the words behind the command's name.
// Out: what to do, the text of --help, or a LedgerError that says what is allowed and what was
//      found.
// Absent: doing it.

import { parseArgs } from 'node:util'
import { LedgerError, messageOf } from '../../errors.ts'
import { partitionCount } from '../../record/layout.ts'

export const helpText = `Usage: transaction-ledger quarantine list [FLAGS]
       transaction-ledger quarantine show PARTITION OFFSET [FLAGS]
       transaction-ledger quarantine resubmit PARTITION OFFSET [FLAGS]

Log records that could not be decoded are kept whole. list names them, show tells why one is there
and can write its bytes to a file, resubmit sends them through ingress again: as they are, or as
repaired in a file. What is in the ledger already is not doubled, since ids are the same. The record
stays in quarantine.

  --url URL
      Where the query role listens. Default: http://127.0.0.1:7070.
  --ingress-url URL
      Where ingress listens, for resubmit. Default: --url.
  --log-identity TEXT
      Which log is meant, where several had a record at one place.
  --output FILE
      For show: writes the bytes there.
  --file FILE
      For resubmit: these bytes instead, a serialized ledger.v1.TransactionBatch.
  --help
      Show this text.

Exit codes: 0 done; 1 not, and says why; 2 the arguments cannot work.`

export interface Place {
  partition: number
  /** As text: up to 2^63 - 1. */
  offset: string
  logIdentity: string | undefined
}

export type Task = { url: URL; ingressUrl: URL } & (
  | { kind: 'list' }
  | { kind: 'show'; place: Place; output: string | undefined }
  | { kind: 'resubmit'; place: Place; file: string | undefined }
)

const flags = {
  url: { type: 'string', default: 'http://127.0.0.1:7070' },
  'ingress-url': { type: 'string' },
  'log-identity': { type: 'string' },
  output: { type: 'string' },
  file: { type: 'string' },
  help: { type: 'boolean', default: false },
} as const

/**
 * Undefined when --help is asked for.
 *
 * @throws LedgerError CONFIG_INVALID
 */
export function readTask(argv: readonly string[]): Task | undefined {
  const { values, positionals } = parsedArguments(argv)
  if (values.help) return undefined
  const [kind, ...rest] = positionals
  const url = urlOf('url', values.url)
  const base = { url, ingressUrl: urlOf('ingress-url', values['ingress-url'] ?? values.url) }
  if (kind === 'list' && rest.length === 0) return { ...base, kind }
  if (kind !== 'show' && kind !== 'resubmit') {
    const expected = 'list, show PARTITION OFFSET or resubmit PARTITION OFFSET'
    throw invalid('quarantine', expected, positionals.join(' ') || 'nothing')
  }
  const place = { ...placeOf(rest), logIdentity: values['log-identity'] }
  return kind === 'show'
    ? { ...base, kind, place, output: values.output }
    : { ...base, kind, place, file: values.file }
}

function parsedArguments(argv: readonly string[]) {
  try {
    return parseArgs({ args: [...argv], options: flags, allowPositionals: true })
  } catch (error) {
    throw invalid('quarantine', 'arguments as --help shows', messageOf(error))
  }
}

function placeOf(words: readonly string[]): { partition: number; offset: string } {
  const [partition = '', offset = ''] = words
  if (words.length !== 2) throw invalid('quarantine', 'PARTITION OFFSET', words.join(' '))
  if (!/^\d{1,3}$/.test(partition) || Number(partition) >= partitionCount) {
    throw invalid('PARTITION', `a whole number from 0 to ${partitionCount - 1}`, partition)
  }
  if (!/^\d{1,19}$/.test(offset)) throw invalid('OFFSET', 'a whole number', offset)
  return { partition: Number(partition), offset }
}

function urlOf(flag: string, text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url?.protocol === 'http:' || url?.protocol === 'https:') return url
  throw invalid(`--${flag}`, 'an address such as http://127.0.0.1:7070', text)
}

function invalid(what: string, expected: string, found: string): LedgerError {
  const shown = found === '' ? 'nothing' : found
  return new LedgerError('CONFIG_INVALID', `${what}: expected ${expected}, found ${shown}.`)
}
