// The arguments of `transaction-ledger import`.
// In:  the words behind the command's name.
// Out: options, the text of --help, or a LedgerError that says what is allowed and what was found.
// Absent: opening any file.

import { LedgerError } from '../../errors.ts'
import { requestItemsMax } from '../../limits.ts'

export type Format = 'csv' | 'ndjson'

export interface ImportOptions {
  /** `-` for standard input. */
  file: string
  url: URL
  format: Format
  batchItems: number
  inFlight: number
  /** Undefined: nothing is remembered, since standard input has no name to put it beside. */
  stateFile: string | undefined
  errorFile: string
  idNamespace: string | undefined
  ignoresUnknown: boolean
  restarts: boolean
  retryForMs: number
}

interface Flag {
  name: string
  /** Absent for switches. */
  value?: string
  fallback?: string
  help: string
}

const flags: readonly Flag[] = [
  {
    name: 'url',
    value: 'URL',
    fallback: 'http://127.0.0.1:7070',
    help: 'Where the ledger listens.',
  },
  {
    name: 'format',
    value: 'csv|ndjson',
    help: 'What FILE holds. Default: by its ending (.csv, .ndjson, .jsonl).',
  },
  {
    name: 'batch',
    value: 'N',
    fallback: String(requestItemsMax),
    help: `Lines a request, 1 to ${requestItemsMax}.`,
  },
  { name: 'in-flight', value: 'N', fallback: '4', help: 'Requests under way, 1 to 64.' },
  {
    name: 'state',
    value: 'FILE',
    help: 'Remembers what has been taken. Default: FILE.import.json; none for standard input.',
  },
  {
    name: 'errors',
    value: 'FILE',
    help: 'Takes the lines that are refused. Default: FILE.errors.ndjson.',
  },
  {
    name: 'id-namespace',
    value: 'TEXT',
    help:
      'Lines without an id get one made of this text and their number. ' +
      'Default: the SHA-256 of the whole file.',
  },
  { name: 'ignore-unknown', help: 'Ignore columns and members other than the three.' },
  { name: 'restart', help: 'Begin at the first line, whatever is remembered; doubles nothing.' },
  {
    name: 'retry-for',
    value: 'SECONDS',
    fallback: '300',
    help: 'How long a request is tried again while the ledger does not take it.',
  },
  { name: 'help', help: 'Show this text.' },
]

export const helpText = [
  'Usage: transaction-ledger import FILE [FLAGS]    (- reads standard input)',
  '',
  'Posts every line of FILE, and goes on where it was when it is run again. CSV begins with a',
  'header of account_id, amount and id; NDJSON has one object of these a line. id is optional.',
  '',
  ...flags.flatMap(({ name, value, fallback, help }) => [
    `  --${name}${value === undefined ? '' : ` ${value}`}`,
    `      ${help}${fallback === undefined ? '' : ` Default: ${fallback}.`}`,
  ]),
  '',
  'Exit codes: 0 every line was taken; 1 it could not go on, and says why; 2 the arguments cannot',
  'work; 3 done, but some lines are in the error file; 130 interrupted. After 1 and 130 the same',
  'command goes on.',
].join('\n')

/**
 * Undefined when --help is among them.
 *
 * @throws LedgerError CONFIG_INVALID
 */
export function readOptions(argv: readonly string[]): ImportOptions | undefined {
  const { values, files } = readArguments(argv)
  if (values.has('help')) return undefined
  const [file] = files
  if (files.length !== 1) throw invalid('import', 'one FILE', files.join(' ') || 'none')
  const isStandardInput = file === '-'
  const beside = isStandardInput ? 'standard-input' : file
  return {
    file,
    url: parseUrl(values.get('url') ?? ''),
    format: parseFormat(values.get('format'), file),
    batchItems: parseNumber(values, 'batch', 1, requestItemsMax),
    inFlight: parseNumber(values, 'in-flight', 1, 64),
    stateFile: values.get('state') ?? (isStandardInput ? undefined : `${file}.import.json`),
    errorFile: values.get('errors') ?? `${beside}.errors.ndjson`,
    idNamespace: values.get('id-namespace'),
    ignoresUnknown: values.has('ignore-unknown'),
    restarts: values.has('restart'),
    retryForMs: parseNumber(values, 'retry-for', 0, 10 ** 9) * 1000,
  }
}

function readArguments(argv: readonly string[]): { values: Map<string, string>; files: string[] } {
  const values = new Map<string, string>()
  const files: string[] = []
  for (let i = 0; i < argv.length; i++) {
    const [, name, inline] = /^--([a-z-]+)(?:=(.*))?$/s.exec(argv[i]) ?? []
    if (name === undefined && (argv[i] === '-' || !argv[i].startsWith('-'))) {
      files.push(argv[i])
      continue
    }
    const flag = flags.find((one) => one.name === name)
    if (flag === undefined) {
      const known = flags.map((one) => `--${one.name}`).join(', ')
      throw invalid('import', `FILE or one of ${known}`, argv[i])
    }
    if (values.has(flag.name)) throw invalid(`--${flag.name}`, 'to be given once', 'it twice')
    if (flag.value === undefined && inline !== undefined) {
      throw invalid(`--${flag.name}`, 'no value', inline)
    }
    const value = flag.value === undefined ? '' : (inline ?? argv[++i])
    if (value === undefined) throw invalid(`--${flag.name}`, 'a value', 'the end of the line')
    values.set(flag.name, value)
  }
  for (const { name, fallback } of flags) {
    if (fallback !== undefined && !values.has(name)) values.set(name, fallback)
  }
  return { values, files }
}

function parseUrl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url && /^https?:$/.test(url.protocol)) return url
  throw invalid('--url', 'an address such as http://127.0.0.1:7070', text)
}

function parseFormat(given: string | undefined, file: string): Format {
  if (given === 'csv' || given === 'ndjson') return given
  if (given !== undefined) throw invalid('--format', 'csv or ndjson', given)
  if (/\.csv$/i.test(file)) return 'csv'
  if (/\.(ndjson|jsonl)$/i.test(file)) return 'ndjson'
  throw invalid('--format', 'csv or ndjson, since the name of the file does not tell', 'none')
}

function parseNumber(
  values: ReadonlyMap<string, string>,
  name: string,
  least: number,
  most: number,
): number {
  const text = values.get(name) ?? ''
  const value = /^\d+$/.test(text) ? Number(text) : NaN
  if (value >= least && value <= most) return value
  throw invalid(`--${name}`, `a whole number from ${least} to ${most}`, text)
}

function invalid(what: string, expected: string, found: string): LedgerError {
  const message = `${what}: expected ${expected}, found ${JSON.stringify(found)}.`
  return new LedgerError('CONFIG_INVALID', message)
}
