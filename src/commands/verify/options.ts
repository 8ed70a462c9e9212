// The arguments of `transaction-ledger verify`.
// In:  the words behind the command's name.
// Out: files, and the program's own flags; the text of --help.
// Absent: what the program's flags mean (config.ts).

import { LedgerError } from '../../errors.ts'
import { environmentName, flags } from '../../flags.ts'

export interface VerifyOptions {
  stateFile: string | undefined
  /** Heads are written there. */
  headsFile: string | undefined
  /** Heads written earlier, to be found in the chains. */
  againstFiles: string[]
  skipsLog: boolean
  /** For config.ts. */
  argv: string[]
}

const own = [
  {
    name: 'state',
    value: 'FILE',
    help: 'Remembers how far it is; the same command goes on there. Removed at the end.',
  },
  {
    name: 'heads',
    value: 'FILE',
    help: 'Writes the heads of the hash chains there if all agrees. Keep them elsewhere.',
  },
  {
    name: 'against',
    value: 'FILE',
    help: 'Heads written earlier, which the chains must still have. May be repeated.',
  },
  { name: 'no-log', help: 'Prove the tables by their hash chains alone.' },
  { name: 'help', help: 'Show this text.' },
]

const shared = [
  'database-url',
  'data-dir',
  'cache-dir',
  'brokers',
  'topic',
  'group',
  'kafka-properties',
]

export function helpText(): string {
  const lines = [
    'transaction-ledger verify: proves that log and tables agree, or names each place where they',
    'do not. It changes nothing, and the program may run meanwhile.',
    '',
    'Checked are every row, conflict and quarantined record against the log, as far as it reaches',
    'back, and against the hash chains; that each key is there once, whatever the indexes say;',
    'checkpoints, leaves and their keys, roll-ups.',
    '',
    'Exit code: 0 all agrees; 1 something does not, told on standard output a line each;',
    '2 it could not be checked; 130 interrupted.',
    '',
  ]
  for (const { name, value, help } of own) {
    lines.push(`  --${name}${value === undefined ? '' : ` ${value}`}`, `      ${help}`)
  }
  for (const { name, help, ...flag } of flags) {
    if (!shared.includes(name)) continue
    lines.push(`  --${name} ${'value' in flag ? flag.value : ''}`, `      ${help}`)
    lines.push(`      Environment: ${environmentName(name)}.`)
  }
  return lines.join('\n')
}

/** Undefined for --help. @throws LedgerError CONFIG_INVALID */
export function readOptions(argv: readonly string[]): VerifyOptions | undefined {
  const options: VerifyOptions = {
    stateFile: undefined,
    headsFile: undefined,
    againstFiles: [],
    skipsLog: false,
    argv: [],
  }
  for (let i = 0; i < argv.length; i++) {
    const [, name = '', inline] = /^--([a-z-]+)(?:=(.*))?$/s.exec(argv[i]) ?? []
    if (name === 'help') return undefined
    if (name === 'no-log') {
      options.skipsLog = true
      continue
    }
    if (!shared.includes(name) && !own.some((flag) => flag.name === name)) unknown(argv[i])
    const value = inline ?? argv.at(++i)
    if (value === undefined || value === '') {
      throw new LedgerError('CONFIG_INVALID', `--${name}: expected a value, found none.`)
    }
    if (name === 'state') options.stateFile = value
    else if (name === 'heads') options.headsFile = value
    else if (name === 'against') options.againstFiles.push(value)
    else options.argv.push(`--${name}=${value}`)
  }
  return options
}

function unknown(argument: string): never {
  const expected = [...own.map(({ name }) => name), ...shared].map((name) => `--${name}`).join(', ')
  const message = `Unknown argument ${JSON.stringify(argument)}: expected one of ${expected}.`
  throw new LedgerError('CONFIG_INVALID', message)
}
