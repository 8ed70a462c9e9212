// Every flag of the program: name, what it allows, default, unit and help text. The table config.ts
// and --help read.
// In:  nothing.
// Out: the table, and parsers that say what they expected and what they found.
// Absent: argv and the environment (config.ts reads them).

import { LedgerError } from './errors.ts'
import {
  inflightBytesMax,
  queryConnectionsDefault,
  queryWaitingMax,
  requestBodyBytesMax,
} from './limits.ts'
import { partitionCount } from './record/layout.ts'
import { crashPoints } from './testing/crash.ts'

export interface Flag {
  name: string
  /** What stands behind the flag in --help; absent for switches. */
  value?: string
  /** As text, as it would be given; absent where there is none. */
  fallback?: string
  help: string
  /** The value is masked wherever configuration is shown. */
  secret?: true
}

export const roles = ['ingress', 'worker', 'query'] as const
export type Role = (typeof roles)[number]

export const flags = [
  {
    name: 'role',
    value: 'all|ingress|worker|query',
    fallback: 'all',
    help: 'What this process does; a comma list works.',
  },
  {
    name: 'listen',
    value: 'HOST:PORT',
    fallback: '127.0.0.1:7070',
    help: 'Address of the HTTP server; port 0 takes a free one.',
  },
  {
    name: 'data-dir',
    value: 'DIR',
    fallback: './data',
    help: 'Where the embedded log and the embedded PostgreSQL keep their files.',
  },
  {
    name: 'cache-dir',
    value: 'DIR',
    help:
      'Where the single executable unpacks its native parts, once. Default: $XDG_CACHE_HOME, ' +
      '~/.cache, else in --data-dir or the temporary directory.',
  },
  {
    name: 'database-url',
    value: 'URL[,URL…]',
    help: 'PostgreSQL; several split the buckets. Default: an embedded one in --data-dir.',
    secret: true,
  },
  {
    name: 'read-url',
    value: 'URL[,URL…]',
    help:
      'Replicas that role query reads from, in any order; --database-url, if given, where none ' +
      'of them can be used.',
    secret: true,
  },
  {
    name: 'replica-lag',
    value: 'SECONDS',
    fallback: '30',
    help: 'Replicas further behind are not read from (seconds, 1 to 86400).',
  },
  {
    name: 'query-connections',
    value: 'N',
    fallback: String(queryConnectionsDefault),
    help: `Reads at once, for each server (1 to 256); ${queryWaitingMax} more may wait, then 503.`,
  },
  {
    name: 'query-timeout',
    value: 'SECONDS',
    fallback: '10',
    help: 'Longest time PostgreSQL may work on a read (seconds, 1 to 600).',
  },
  {
    name: 'brokers',
    value: 'HOST:PORT[,…]',
    help: 'Kafka or Redpanda. Default: an embedded log in --data-dir.',
  },
  {
    name: 'topic',
    value: 'NAME',
    fallback: 'ledger.transactions',
    help: 'Kafka topic, created with 128 partitions if absent.',
  },
  {
    name: 'group',
    value: 'NAME',
    fallback: 'transaction-ledger',
    help: 'Kafka consumer group through which workers share partitions.',
  },
  {
    name: 'kafka-properties',
    value: 'KEY=VALUE[,…]',
    help: 'Further librdkafka settings, such as security.protocol=SASL_SSL.',
    secret: true,
  },
  {
    name: 'partitions',
    value: 'RANGES',
    help: 'Work on these only, such as 0-63 or 0-7,64. Default: what the group assigns, or all.',
  },
  {
    name: 'workers',
    value: 'N',
    help: 'Worker threads (1 to 64). Default: the number of cores, at least one a database.',
  },
  {
    name: 'buckets',
    value: 'N',
    fallback: '16',
    help: 'Hash buckets of the tables: a power of two up to 128; fixed once they are created.',
  },
  {
    name: 'open-leaf-rate',
    value: 'ROWS|off',
    fallback: '5000',
    help: 'Rows a second of a bucket from which keys are built leaf by leaf, not row by row.',
  },
  {
    name: 'chain-interval',
    value: 'SECONDS|off',
    fallback: '60',
    help: 'How often what was committed is added to the hash chains (seconds, 1 to 86400).',
  },
  {
    name: 'linger',
    value: 'MS',
    fallback: '100',
    help: 'Longest wait (milliseconds, 0 to 1000) for more transactions while the log is busy.',
  },
  {
    name: 'decode-threads',
    value: 'N',
    fallback: '0',
    help: 'Threads that read large JSON bodies (0 to 16); 0 leaves it to the main thread.',
  },
  {
    name: 'max-body',
    value: 'BYTES',
    fallback: String(requestBodyBytesMax),
    help: 'Largest request body (bytes, or with KiB, MiB, GiB).',
  },
  {
    name: 'max-inflight',
    value: 'BYTES',
    fallback: String(inflightBytesMax),
    help: 'Bytes of requests not answered yet; past it, 503 (bytes, or with KiB, MiB, GiB).',
  },
  {
    name: 'max-backlog',
    value: 'BYTES',
    fallback: '64MiB',
    help: 'Bytes not persisted yet past which ingress keeps pace with the workers of its process.',
  },
  {
    name: 'request-timeout',
    value: 'SECONDS',
    fallback: '10',
    help: 'Longest time for a request to arrive whole (seconds, 1 to 600).',
  },
  {
    name: 'log-disk',
    value: 'BYTES',
    fallback: '16GiB',
    help: 'Disk budget of the embedded log; past it, 503 (bytes, or with KiB, MiB, GiB).',
  },
  {
    name: 'keep-log',
    help:
      'Keep what PostgreSQL has, so that replay reaches back to it; up to --log-disk (embedded ' +
      'log; of Kafka, the retention of its topic).',
  },
  {
    name: 'receipt-key',
    value: 'TEXT',
    help:
      'Key that signs receipts; the same on every ingress and query role. Default: one kept in ' +
      '--data-dir.',
    secret: true,
  },
  {
    name: 'shutdown-timeout',
    value: 'SECONDS',
    fallback: '30',
    help: 'Longest time to finish after SIGTERM (seconds, 1 to 3600).',
  },
  { name: 'migrate', help: 'Create or migrate the tables, then exit.' },
  {
    name: 'log-level',
    value: 'LEVEL',
    fallback: 'info',
    help: 'trace, debug, info, warn, error or fatal.',
  },
  {
    name: 'log-format',
    value: 'FORMAT',
    fallback: 'auto',
    help: 'json, pretty, or auto: pretty on a terminal.',
  },
  {
    name: 'crash-at',
    value: 'POINT[:N]',
    help: `For tests: end by SIGKILL the Nth time a point is reached: ${crashPoints.join(', ')}.`,
  },
  { name: 'help', help: 'Show this text.' },
  { name: 'version', help: 'Show the version, and those of what it is made of.' },
  { name: 'licenses', help: 'Show what of others is inside, and its licences.' },
] as const satisfies readonly Flag[]

export type FlagName = (typeof flags)[number]['name']

/** `--database-url` and `DATABASE_URL` are the same setting. */
export function environmentName(flag: string): string {
  return flag.replaceAll('-', '_').toUpperCase()
}

/** @throws LedgerError CONFIG_INVALID always */
export function invalid(flag: FlagName, expected: string, found: string): never {
  const message = `--${flag} (${environmentName(flag)}): expected ${expected}, found ${found}.`
  throw new LedgerError('CONFIG_INVALID', message)
}

export function parseInteger(flag: FlagName, text: string, least: number, most: number): number {
  const value = Number(text)
  if (/^\d+$/.test(text) && value >= least && value <= most) return value
  return invalid(flag, `a whole number from ${least} to ${most}`, JSON.stringify(text))
}

const unitBytes = { '': 1, KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3 }

export function parseBytes(flag: FlagName, text: string, least: number, most: number): number {
  const match = /^(\d+)(KiB|MiB|GiB|)$/.exec(text)
  const value = match ? Number(match[1]) * unitBytes[match[2] as keyof typeof unitBytes] : NaN
  if (value >= least && value <= most) return value
  const expected = `bytes from ${least} to ${most}, such as 1048576 or 64MiB`
  return invalid(flag, expected, JSON.stringify(text))
}

export function parseChoice<T extends string>(
  flag: FlagName,
  text: string,
  allowed: readonly T[],
): T {
  const choice = allowed.find((one) => one === text)
  return choice ?? invalid(flag, `one of ${allowed.join(', ')}`, JSON.stringify(text))
}

/** `0-7,64` → [0, 1, …, 7, 64]. */
export function parsePartitions(text: string): number[] {
  const partitions = new Set<number>()
  for (const part of text.split(',')) {
    const match = /^(\d+)(?:-(\d+))?$/.exec(part.trim())
    const first = Number(match?.[1])
    const last = Number(match?.[2] ?? match?.[1])
    if (!(first <= last && last < partitionCount)) {
      const expected = `ranges within 0 to ${partitionCount - 1}, such as 0-63 or 0-7,64`
      invalid('partitions', expected, JSON.stringify(text))
    }
    for (let partition = first; partition <= last; partition++) partitions.add(partition)
  }
  return [...partitions].sort((a, b) => a - b)
}

/** Flags that show something instead of running; no environment variable stands for them. */
export const shows: ReadonlySet<string> = new Set(['help', 'version', 'licenses'])

/** The text of --help: how to call it; every flag with default, unit and environment variable. */
export function helpText(usage: readonly string[]): string {
  const lines = [
    'transaction-ledger: takes JSON batches of account transactions over HTTP and persists',
    'each exactly once in PostgreSQL.',
    '',
    ...usage,
    '',
    'Each flag has an environment variable; the flag wins.',
    '',
  ]
  for (const flag of flags as readonly Flag[]) {
    lines.push(`  --${flag.name}${flag.value === undefined ? '' : ` ${flag.value}`}`)
    lines.push(`      ${flag.help}`)
    if (shows.has(flag.name)) continue
    const fallback = flag.fallback === undefined ? '' : ` Default: ${flag.fallback}.`
    lines.push(`      Environment: ${environmentName(flag.name)}.${fallback}`)
  }
  return lines.join('\n')
}
