// The command line of the bench.
// In:  argv.
// Out: options, or an error that says what was expected and what was found; the text of --help.
// Absent: what scenarios do.

import { parseArgs } from 'node:util'

export class UsageError extends Error {}

const flags = {
  seconds: ['N', 'How long a window is measured. Default: 20.'],
  'warm-up': ['N', 'Seconds of load before the window. Default: half of --seconds, 10 at most.'],
  connections: ['N', "HTTP connections. Default: the scenario's."],
  rate: ['N', 'single, burst, read-while-write: transactions a second, not what saturates.'],
  'read-rate': ['N', 'read-while-write: reads a second, instead of eight clients in turn.'],
  limit: ['N', 'Rows a second of an earlier limit, to give ratios of it without measuring it.'],
  all: [undefined, 'Every scenario but compare.'],
  kafka: [undefined, 'Start Apache Kafka as the tests do, instead of the embedded log.'],
  program: ['COMMAND', 'The program to start. Default: this one.'],
  url: ['URL[,URL…]', 'Drive a deployment that runs already, instead of starting one.'],
  'metrics-url': ['URL[,URL…]', 'With --url: further processes whose counters count (workers).'],
  'database-url': ['URL[,URL…]', 'With --url: the databases, to see rows and to verify each.'],
  out: ['DIR', 'Where the report goes. Default: bench-report.'],
  directory: ['DIR', 'Where data directories are made, and removed. Default: the temporary one.'],
  profile: [undefined, 'Write a CPU profile of the program to this directory (node --cpu-prof).'],
  of: ['SCENARIO', 'compare: which one. Default: steady.'],
  a: ['FLAGS', 'compare: flags of the first side.'],
  b: ['FLAGS', 'compare: flags of the second side.'],
  'program-a': ['COMMAND', 'compare: the program of the first side. Default: --program.'],
  'program-b': ['COMMAND', 'compare: the program of the second side. Default: --program.'],
  rounds: ['N', 'compare: how often the sides take turns. Default: 3.'],
  list: [undefined, 'Show the scenarios.'],
  help: [undefined, 'Show this text.'],
}

const parseOptions = Object.fromEntries(
  Object.entries(flags).map(([name, [value]]) => [name, { type: value ? 'string' : 'boolean' }]),
)

/** @returns options; what stands behind `--` are flags of the program */
export function readOptions(argv) {
  const end = argv.indexOf('--')
  const own = end < 0 ? argv : argv.slice(0, end)
  let parsed
  try {
    parsed = parseArgs({ args: joined(own), options: parseOptions, allowPositionals: true })
  } catch (error) {
    throw new UsageError(error.message)
  }
  const { values, positionals } = parsed
  const number = (name, fallback) => readNumber(name, values[name], fallback)
  const seconds = number('seconds', 20)
  const options = {
    scenarios: positionals,
    seconds,
    warmUpSeconds: number('warm-up', Math.min(10, seconds / 2)),
    connections: number('connections'),
    rate: number('rate'),
    readRate: number('read-rate'),
    limit: number('limit'),
    rounds: number('rounds', 3),
    urls: readUrls('url', values.url),
    metricsUrls: readUrls('metrics-url', values['metrics-url']),
    databaseUrls: readList(values['database-url']),
    program: words(values.program),
    sides: ['a', 'b'].map((side) => ({
      flags: words(values[side]) ?? [],
      program: words(values[`program-${side}`]),
    })),
    of: values.of ?? 'steady',
    out: values.out ?? 'bench-report',
    directory: values.directory,
    flags: end < 0 ? [] : argv.slice(end + 1),
  }
  for (const name of ['all', 'kafka', 'profile', 'list', 'help'])
    options[name] = values[name] === true
  if (options.urls.length > 0) refuseBeside(values, ['program', 'kafka', 'profile'], 'url')
  else if (options.databaseUrls.length > 0 || options.metricsUrls.length > 0) {
    throw new UsageError('--database-url and --metrics-url: expected --url as well, found none.')
  }
  return options
}

/** What stands behind --a and --b are flags themselves, which parseArgs would not take for values. */
function joined(args) {
  const merged = []
  for (const argument of args) {
    if (['--a', '--b'].includes(merged.at(-1))) merged.push(`${merged.pop()}=${argument}`)
    else merged.push(argument)
  }
  return merged
}

function refuseBeside(values, names, other) {
  const found = names.find((name) => values[name] !== undefined)
  if (found !== undefined) {
    throw new UsageError(`--${found}: with --${other} nothing is started, so it has no meaning.`)
  }
}

function readNumber(name, text, fallback) {
  if (text === undefined) return fallback
  const value = Number(text)
  if (text.trim() !== '' && value > 0 && value < 1e9) return value
  throw new UsageError(`--${name}: expected a number above 0, found ${JSON.stringify(text)}.`)
}

function readList(text) {
  return text === undefined ? [] : text.split(',').map((part) => part.trim())
}

function readUrls(name, text) {
  return readList(text).map((part) => {
    const url = URL.canParse(part) ? new URL(part) : undefined
    if (url?.protocol === 'http:') return url.origin
    throw new UsageError(`--${name}: expected http://HOST:PORT, found ${JSON.stringify(part)}.`)
  })
}

function words(text) {
  const parts = text?.split(/\s+/).filter((part) => part !== '')
  return parts?.length === 0 ? undefined : parts
}

const secretFlags = ['--database-url', '--kafka-properties', '--receipt-key']

/** Options as a report may show them: no passwords. */
export function shownOptions({ databaseUrls, flags: given, sides, ...options }) {
  return {
    ...options,
    databases: databaseUrls.length,
    flags: masked(given),
    sides: sides.map((side) => ({ ...side, flags: masked(side.flags) })),
  }
}

/** Flags of the program without the values that are secrets. */
export function masked(list) {
  return list.map((word, index) => {
    if (secretFlags.includes(list[index - 1])) return '***'
    const name = secretFlags.find((flag) => word.startsWith(`${flag}=`))
    return name === undefined ? word : `${name}=***`
  })
}

export function helpText(scenarios) {
  const lines = [
    'bench: measures the ledger under load, verifies every row afterwards, and writes a report.',
    '',
    'Usage: npm run bench -- [SCENARIO…] [FLAGS] [-- FLAGS OF THE PROGRAM]',
    '',
  ]
  for (const [name, [value, help]] of Object.entries(flags)) {
    lines.push(`  ${`--${name}${value ? ` ${value}` : ''}`.padEnd(28)}${help}`)
  }
  lines.push('', 'Scenarios (* without any named):', '')
  return [...lines, ...listLines(scenarios)].join('\n')
}

export function listLines(scenarios) {
  return scenarios.map(
    ({ name, title, isDefault }) => `  ${isDefault ? '*' : ' '} ${name.padEnd(18)}${title}`,
  )
}
