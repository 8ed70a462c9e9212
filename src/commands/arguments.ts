// Arguments of commands that have flags of their own beside some of the program's.
// In:  the words behind the command's name, the command's own flags.
// Out: values of its own flags, and the configuration that the program's flags make.
// Absent: what a command does.

import { parseArgs } from 'node:util'
import { useCache } from '../artifact/cache.ts'
import { readConfig, type Config } from '../config.ts'
import { LedgerError, messageOf, reactionTo } from '../errors.ts'
import { environmentName, flags, type FlagName } from '../flags.ts'

export interface OwnFlag {
  /** What stands behind the flag in --help; absent for switches. */
  value?: string
  help: string
}

export interface CommandLine {
  /** Values of the command's own flags; a switch that is given is `true`. */
  own: Readonly<Record<string, string | undefined>>
  config: Config
}

export interface CommandSyntax {
  /** The text of --help before the flags, ending in a newline. */
  introduction: string
  own: Readonly<Record<string, OwnFlag>>
  /** Flags of the program that the command takes as well. */
  shared: readonly FlagName[]
  /** Exit codes besides 0, 1 and 2. */
  exitCodes?: string
}

/** Undefined when --help is asked for, and is then shown. */
function readCommandLine(syntax: CommandSyntax, argv: readonly string[]): CommandLine | undefined {
  const options: Record<string, { type: 'string' | 'boolean' }> = { help: { type: 'boolean' } }
  for (const [name, { value }] of Object.entries(syntax.own)) {
    options[name] = { type: value === undefined ? 'boolean' : 'string' }
  }
  for (const name of syntax.shared) options[name] = { type: 'string' }
  const values = parsed(argv, options)
  if (values['help'] === true) {
    process.stdout.write(`${helpText(syntax)}\n`)
    return undefined
  }
  const shared = syntax.shared.flatMap((name) => {
    const value = values[name]
    return typeof value === 'string' ? [`--${name}`, value] : []
  })
  const own = Object.keys(syntax.own).map((name) => {
    return [name, values[name] === undefined ? undefined : String(values[name])] as const
  })
  return { own: Object.fromEntries(own), config: configOf(shared) }
}

function parsed(
  argv: readonly string[],
  options: Record<string, { type: 'string' | 'boolean' }>,
): Record<string, string | boolean | undefined> {
  try {
    return parseArgs({ args: [...argv], options }).values
  } catch (error) {
    throw new LedgerError('CONFIG_INVALID', `${messageOf(error)} See --help.`)
  }
}

function helpText({ introduction, own, shared, exitCodes }: CommandSyntax): string {
  const lines = [introduction, ...flagLines(own, shared)]
  const codes = `Exit codes: 0 done; 1 not, and says why; 2 the arguments cannot work`
  return [...lines, '', `${codes}${exitCodes === undefined ? '' : `; ${exitCodes}`}.`].join('\n')
}

/** What --help says of a command's own flags, and of those it shares with the program. */
export function flagLines(
  own: Readonly<Record<string, OwnFlag>>,
  shared: readonly FlagName[],
): string[] {
  const lines: string[] = []
  for (const [name, { value, help }] of Object.entries(own)) {
    lines.push(`  --${name}${value === undefined ? '' : ` ${value}`}`, `      ${help}`)
  }
  for (const { name, help, ...flag } of flags) {
    if (!shared.includes(name)) continue
    lines.push(`  --${name} ${'value' in flag ? flag.value : ''}`, `      ${help}`)
    lines.push(`      Environment: ${environmentName(name)}.`)
  }
  return lines
}

/** @throws LedgerError CONFIG_INVALID */
export function unknownArgument(argument: string, names: readonly string[]): never {
  const expected = names.map((name) => `--${name}`).join(', ')
  const message = `Unknown argument ${JSON.stringify(argument)}: expected one of ${expected}.`
  throw new LedgerError('CONFIG_INVALID', message)
}

/**
 * The configuration that the program's flags make, for a command that serves nobody. What needs
 * native parts of the executable is to be imported after this.
 */
export function configOf(argv: readonly string[]): Config {
  const command = readConfig(['--log-level', 'warn', ...argv])
  if (command.kind !== 'run') throw new LedgerError('CONFIG_INVALID', 'Expected flags only.')
  useCache(command.config.cacheDirs)
  return command.config
}

/** Runs a command with its arguments; resolves to its exit code. */
export async function runCommand(
  syntax: CommandSyntax,
  argv: readonly string[],
  run: (line: CommandLine) => Promise<number>,
): Promise<number> {
  return ended(async () => {
    const line = readCommandLine(syntax, argv)
    return line === undefined ? 0 : run(line)
  })
}

/** The exit code of a command; what the world does to it is said on standard error. */
export async function ended(run: () => Promise<number>): Promise<number> {
  try {
    return await run()
  } catch (error) {
    const reaction = reactionTo(error)
    if (reaction === undefined) throw error
    process.stderr.write(`${messageOf(error)}\n`)
    return reaction === 'exit' ? 2 : 1
  }
}

/** `2026-11-24`, a date that exists. */
export function dateOf(flag: string, text: string | undefined): string {
  const milliseconds = Date.parse(`${text}T00:00:00Z`)
  const isDate = /^\d{4}-\d\d-\d\d$/.test(text ?? '') && !Number.isNaN(milliseconds)
  if (isDate && new Date(milliseconds).toISOString().startsWith(text ?? '-')) return text ?? ''
  const message = `--${flag}: expected a date such as 2026-01-31, found ${text ?? 'nothing'}.`
  throw new LedgerError('CONFIG_INVALID', message)
}
