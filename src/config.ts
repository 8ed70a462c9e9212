// The only reader of argv and the environment: turns both into a checked configuration.
// In:  command line and environment variables.
// Out: Config, or a LedgerError that names the flag, what it allows and what it got.
// Absent: anything that opens a file or a socket.

import { availableParallelism, tmpdir } from 'node:os'
import { isAbsolute, join, resolve } from 'node:path'
import { commands, type ProgramCommand } from './commands.ts'
import {
  environmentName,
  flags,
  invalid,
  parseBytes,
  parseChoice,
  parseInteger,
  parsePartitions,
  roles,
  shows,
  type Flag,
  type FlagName,
  type Role,
} from './flags.ts'
import { LedgerError } from './errors.ts'
import { requestBodyBytesMax, inflightBytesMax } from './limits.ts'
import type { LogFormat } from './observe/logger.ts'
import { partitionCount } from './record/layout.ts'
import { crashPoints } from './testing/crash.ts'

export interface Config {
  roles: ReadonlySet<Role>
  listen: { host: string; port: number }
  /** Absolute path. */
  dataDir: string
  /** Where native parts may be unpacked, the best place first; absolute paths. */
  cacheDirs: readonly string[]
  /** Empty: PostgreSQL is embedded. */
  databaseUrls: readonly string[]
  /** Replicas that reads go to first. */
  readUrls: readonly string[]
  replicaLagSeconds: number
  queryConnections: number
  queryTimeoutSeconds: number
  /** Undefined: the log is embedded. */
  brokers: string | undefined
  topic: string
  group: string
  kafkaProperties: Readonly<Record<string, string>>
  /** Undefined: what the consumer group assigns, or all on the embedded log. */
  partitions: readonly number[] | undefined
  workers: number
  buckets: number
  lingerMs: number
  decodeThreads: number
  bodyBytesMax: number
  inflightBytesMax: number
  backlogBytesMax: number
  requestTimeoutMs: number
  logDiskBytes: number
  /** The embedded log keeps what is released. */
  keepsLog: boolean
  receiptKey: string | undefined
  shutdownTimeoutMs: number
  migrateOnly: boolean
  logLevel: string
  logFormat: LogFormat
  crashAt: string | undefined
  /** Rows a second of a bucket; Infinity for never. */
  openLeafRate: number
  /** Undefined: the hash chains are not made longer. */
  chainIntervalMs: number | undefined
}

export type Command =
  | { kind: 'run'; config: Config }
  | { kind: 'command'; command: ProgramCommand; argv: readonly string[] }
  | { kind: 'help' }
  | { kind: 'version' }
  | { kind: 'licenses' }

type Values = Partial<Record<FlagName, string>>
type Environment = Readonly<Record<string, string | undefined>>

const switches: ReadonlySet<string> = new Set(
  (flags as readonly Flag[]).filter((flag) => flag.value === undefined).map((flag) => flag.name),
)

/**
 * @param argv without the interpreter and the script
 * @throws LedgerError CONFIG_INVALID
 */
export function readConfig(
  argv: readonly string[] = process.argv.slice(2),
  environment: Environment = process.env,
): Command {
  const command = argv.length > 0 ? commands[argv[0]] : undefined
  if (command) return { kind: 'command', command, argv: argv.slice(1) }
  const given = readArguments(argv)
  if (given.help !== undefined) return { kind: 'help' }
  if (given.version !== undefined) return { kind: 'version' }
  if (given.licenses !== undefined) return { kind: 'licenses' }
  const values: Values = {}
  for (const flag of flags as readonly Flag[]) {
    if (shows.has(flag.name)) continue
    const name = flag.name as FlagName
    // A variable that is set to nothing is not set, as compose files and unit files write it.
    const fromEnvironment = environment[environmentName(name)] || undefined
    const text = given[name] ?? fromEnvironment ?? flag.fallback
    if (text !== undefined) values[name] = text
  }
  return { kind: 'run', config: check(values, environment) }
}

function readArguments(argv: readonly string[]): Values {
  const values: Values = {}
  for (let i = 0; i < argv.length; i++) {
    const [, name, inline] = /^--([a-z-]+)(?:=(.*))?$/s.exec(argv[i]) ?? []
    const flag = flags.find((one) => one.name === name)
    if (!flag) {
      const known = flags.map((one) => `--${one.name}`).join(', ')
      const message = `Unknown argument ${JSON.stringify(argv[i])}: expected one of ${known}.`
      throw new LedgerError('CONFIG_INVALID', message)
    }
    if (values[flag.name] !== undefined) invalid(flag.name, 'to be given once', 'it twice')
    if (switches.has(flag.name)) {
      values[flag.name] = inline ?? 'true'
    } else {
      values[flag.name] =
        inline ?? argv[++i] ?? invalid(flag.name, 'a value', 'the end of the line')
    }
  }
  return values
}

function check(values: Values, environment: Environment): Config {
  const text = (name: FlagName): string => values[name] ?? ''
  const databaseUrls = parseDatabaseUrls('database-url', values['database-url'])
  const buckets = parseBuckets(text('buckets'))
  if (databaseUrls.length > buckets) {
    invalid('database-url', `at most ${buckets} databases, one a bucket`, `${databaseUrls.length}`)
  }
  const workers = values.workers ?? String(Math.min(64, availableParallelism()))
  const config: Config = {
    roles: parseRoles(text('role')),
    listen: parseListen(text('listen')),
    dataDir: resolve(text('data-dir')),
    cacheDirs: [],
    databaseUrls,
    readUrls: parseDatabaseUrls('read-url', values['read-url']),
    replicaLagSeconds: parseInteger('replica-lag', text('replica-lag'), 1, 86_400),
    queryConnections: parseInteger('query-connections', text('query-connections'), 1, 256),
    queryTimeoutSeconds: parseInteger('query-timeout', text('query-timeout'), 1, 600),
    brokers: values.brokers,
    topic: parseName('topic', text('topic')),
    group: parseName('group', text('group')),
    kafkaProperties: parseProperties(values['kafka-properties']),
    partitions: values.partitions === undefined ? undefined : parsePartitions(values.partitions),
    workers: Math.max(parseInteger('workers', workers, 1, 64), databaseUrls.length),
    buckets,
    openLeafRate: parseOpenLeafRate(text('open-leaf-rate')),
    chainIntervalMs: parseChainInterval(text('chain-interval')),
    lingerMs: parseInteger('linger', text('linger'), 0, 1000),
    decodeThreads: parseInteger('decode-threads', text('decode-threads'), 0, 16),
    bodyBytesMax: parseBytes('max-body', text('max-body'), 1024, requestBodyBytesMax * 32),
    inflightBytesMax: parseBytes(
      'max-inflight',
      text('max-inflight'),
      inflightBytesMax / 4,
      2 ** 36,
    ),
    backlogBytesMax: parseBytes('max-backlog', text('max-backlog'), 2 ** 20, 2 ** 44),
    requestTimeoutMs: parseInteger('request-timeout', text('request-timeout'), 1, 600) * 1000,
    logDiskBytes: parseBytes('log-disk', text('log-disk'), 2 ** 24, 2 ** 44),
    keepsLog: parseSwitch('keep-log', values['keep-log']),
    receiptKey: values['receipt-key'],
    shutdownTimeoutMs: parseInteger('shutdown-timeout', text('shutdown-timeout'), 1, 3600) * 1000,
    migrateOnly: parseSwitch('migrate', values.migrate),
    logLevel: parseChoice('log-level', text('log-level'), logLevels),
    logFormat: parseChoice('log-format', text('log-format'), ['auto', 'json', 'pretty']),
    crashAt: values['crash-at'] === undefined ? undefined : parseCrashAt(values['crash-at']),
  }
  checkTogether(config)
  const keepsData = config.brokers === undefined || config.databaseUrls.length === 0
  config.cacheDirs = cacheDirs(
    values['cache-dir'],
    keepsData ? config.dataDir : undefined,
    environment,
  )
  return config
}

const logLevels = ['trace', 'debug', 'info', 'warn', 'error', 'fatal'] as const

/** What only makes sense, or only is safe, in combination. */
function checkTogether(config: Config): void {
  const wants = (role: Role): boolean => config.roles.has(role)
  const list = [...config.roles].join(',')
  if (config.brokers === undefined && wants('ingress') !== wants('worker')) {
    const expected = 'roles ingress and worker in one process, because the embedded log'
    invalid('role', `${expected} serves one process only (or --brokers)`, list)
  }
  const ownsLog = config.brokers === undefined && wants('ingress')
  const readsReplicas = config.readUrls.length > 0
  if (readsReplicas && !wants('query')) {
    invalid('read-url', 'role query, which alone reads from replicas', list)
  }
  const needsDatabase = wants('worker') || (wants('query') && !readsReplicas)
  if (config.databaseUrls.length === 0 && !ownsLog && needsDatabase) {
    const expected = 'a PostgreSQL URL, because processes that share a log share their databases'
    invalid('database-url', expected, 'none')
  }
  const some = (config.partitions?.length ?? partitionCount) < partitionCount
  if (config.brokers === undefined && some) {
    invalid('partitions', 'all of them on the embedded log, which nobody else reads', 'some')
  }
  if (config.bodyBytesMax > config.inflightBytesMax) {
    invalid(
      'max-body',
      `at most --max-inflight (${config.inflightBytesMax})`,
      `${config.bodyBytesMax}`,
    )
  }
}

/**
 * A folder below the directory that is asked for, or else below the first of the usual ones that
 * can be used.
 *
 * @param dataDir where this process keeps data there anyway
 */
export function cacheDirs(
  given: string | undefined,
  dataDir: string | undefined,
  { XDG_CACHE_HOME: cache = '', HOME: home = '' }: Environment = process.env,
): string[] {
  const name = 'transaction-ledger'
  if (given !== undefined) return [join(resolve(given), name)]
  return [
    ...(isAbsolute(cache) ? [join(cache, name)] : []),
    ...(isAbsolute(home) ? [join(home, '.cache', name)] : []),
    ...(dataDir === undefined ? [] : [join(dataDir, 'cache')]),
    join(tmpdir(), `${name}-${process.geteuid?.() ?? 'cache'}`),
  ]
}

function parseRoles(text: string): ReadonlySet<Role> {
  const chosen = new Set<Role>()
  for (const part of text.split(',')) {
    const role = parseChoice('role', part.trim(), ['all', ...roles])
    if (role === 'all') for (const each of roles) chosen.add(each)
    else chosen.add(role)
  }
  return chosen
}

function parseListen(text: string): { host: string; port: number } {
  const match = /^(.+):(\d+)$/.exec(text)
  const port = Number(match?.[2])
  const host = match?.[1]?.replace(/^\[(.*)\]$/, '$1')
  if (host === undefined || !(port <= 65535)) {
    return invalid('listen', 'HOST:PORT, such as 127.0.0.1:7070 or [::1]:0', JSON.stringify(text))
  }
  return { host, port }
}

function parseDatabaseUrls(flag: FlagName, text: string | undefined): string[] {
  if (text === undefined) return []
  return text.split(',').map((part) => {
    const url = part.trim()
    if (/^postgres(ql)?:$/.test(safeUrl(url)?.protocol ?? '')) return url
    const expected = 'postgresql://user:password@host:port/database'
    return invalid(flag, expected, JSON.stringify(maskUrl(url)))
  })
}

function safeUrl(text: string): URL | undefined {
  return URL.canParse(text) ? new URL(text) : undefined
}

function parseBuckets(text: string): number {
  const value = Number(text)
  if (/^\d+$/.test(text) && value >= 1 && value <= 128 && (value & (value - 1)) === 0) return value
  return invalid('buckets', 'a power of two from 1 to 128', JSON.stringify(text))
}

function parseOpenLeafRate(text: string): number {
  if (text === 'off') return Infinity
  if (/^\d{1,9}$/.test(text)) return Number(text)
  return invalid('open-leaf-rate', 'rows a second, or off', JSON.stringify(text))
}

function parseChainInterval(text: string): number | undefined {
  return text === 'off' ? undefined : parseInteger('chain-interval', text, 1, 86_400) * 1000
}

function parseName(flag: FlagName, text: string): string {
  if (/^[a-zA-Z0-9._-]{1,249}$/.test(text)) return text
  return invalid(
    flag,
    '1 to 249 of letters, digits, dots, dashes, underscores',
    JSON.stringify(text),
  )
}

function parseProperties(text: string | undefined): Record<string, string> {
  const properties: Record<string, string> = {}
  for (const part of text?.split(',') ?? []) {
    const match = /^\s*([a-z0-9._]+)=(.*)$/.exec(part)
    if (!match) invalid('kafka-properties', 'KEY=VALUE[,KEY=VALUE…]', 'another form')
    else properties[match[1]] = match[2]
  }
  return properties
}

function parseSwitch(flag: FlagName, text: string | undefined): boolean {
  return text !== undefined && parseChoice(flag, text, ['true', 'false']) === 'true'
}

function parseCrashAt(text: string): string {
  const [name, count = '1', rest] = text.split(':')
  const known = crashPoints.some((point) => point === name)
  if (known && /^[1-9]\d*$/.test(count) && rest === undefined) return text
  return invalid('crash-at', `one of ${crashPoints.join(', ')}, with :N`, JSON.stringify(text))
}

/** The URL with its password replaced, for logs and messages. */
export function maskUrl(text: string): string {
  const url = safeUrl(text)
  if (!url) return text.replace(/:[^:@/]*@/, ':***@')
  if (url.password !== '') url.password = '***'
  if (url.searchParams.has('password')) url.searchParams.set('password', '***')
  return url.toString()
}

/** The configuration as it may be logged: flag names, secrets masked, what is not set left out. */
export function describeConfig(config: Config): Record<string, unknown> {
  const properties = Object.entries(config.kafkaProperties).map(([key, value]) =>
    /password|secret|key|token|jaas/.test(key) ? `${key}=***` : `${key}=${value}`,
  )
  return {
    role: [...config.roles].join(','),
    listen: `${config.listen.host}:${config.listen.port}`,
    'data-dir': config.dataDir,
    'database-url': config.databaseUrls.map(maskUrl).join(',') || 'embedded',
    ...(config.readUrls.length > 0
      ? {
          'read-url': config.readUrls.map(maskUrl).join(','),
          'replica-lag': config.replicaLagSeconds,
        }
      : {}),
    'query-connections': config.queryConnections,
    'query-timeout': config.queryTimeoutSeconds,
    brokers: config.brokers ?? 'embedded log',
    ...(config.brokers === undefined ? {} : { topic: config.topic, group: config.group }),
    ...(properties.length > 0 ? { 'kafka-properties': properties.join(',') } : {}),
    ...(config.partitions ? { partitions: config.partitions.join(',') } : {}),
    workers: config.workers,
    buckets: config.buckets,
    'open-leaf-rate': config.openLeafRate === Infinity ? 'off' : config.openLeafRate,
    'chain-interval': config.chainIntervalMs === undefined ? 'off' : config.chainIntervalMs / 1000,
    linger: config.lingerMs,
    'decode-threads': config.decodeThreads,
    'max-body': config.bodyBytesMax,
    'max-inflight': config.inflightBytesMax,
    'max-backlog': config.backlogBytesMax,
    'request-timeout': config.requestTimeoutMs / 1000,
    'log-disk': config.logDiskBytes,
    ...(config.keepsLog ? { 'keep-log': true } : {}),
    'receipt-key': config.receiptKey === undefined ? 'in --data-dir' : '***',
    'shutdown-timeout': config.shutdownTimeoutMs / 1000,
    ...(config.crashAt === undefined ? {} : { 'crash-at': config.crashAt }),
  }
}
