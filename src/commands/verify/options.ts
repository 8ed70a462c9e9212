// The arguments of `transaction-ledger verify`.
// In:  the words behind the command's name.
// Out: files, and the program's own flags; the text of --help.
// Absent: what the program's flags mean (config.ts).

import { LedgerError } from '../../errors.ts'
import type { FlagName } from '../../flags.ts'
import { flagLines, unknownArgument } from '../arguments.ts'

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

const own = {
  state: {
    value: 'FILE',
    help: 'Remembers how far it is; the same command goes on there. Removed at the end.',
  },
  heads: {
    value: 'FILE',
    help: 'Writes the heads of the hash chains there if all agrees. Keep them elsewhere.',
  },
  against: {
    value: 'FILE',
    help: 'Heads written earlier, which the chains must still have. May be repeated.',
  },
  'no-log': { help: 'Prove the tables by their hash chains alone.' },
  help: { help: 'Show this text.' },
}

const shared: readonly FlagName[] = [
  'database-url',
  'data-dir',
  'cache-dir',
  'brokers',
  'topic',
  'group',
  'kafka-properties',
]

const names: readonly string[] = [...Object.keys(own), ...shared]

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
    ...flagLines(own, shared),
  ]
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
    if (!names.includes(name)) unknownArgument(argv[i], names)
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
