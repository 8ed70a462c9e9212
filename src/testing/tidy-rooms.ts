// Which room of src/ may import from which.
// In:  paths below src/.
// Out: whether an import is allowed, and the rule it breaks.
// Absent: reading files (tidy.test.ts).

type Rooms = Readonly<Record<string, readonly string[] | undefined>>

/** Rooms each room may import from; itself always. The files at the top are rooms of their own. */
const mayImport: Rooms = {
  errors: [],
  artifact: ['errors'],
  bytes: [],
  record: ['bytes'],
  limits: ['record'],
  batch: ['bytes', 'limits', 'record'],
  receipt: ['batch', 'bytes', 'errors', 'limits', 'record'],
  observe: ['errors', 'limits'],
  http: ['errors', 'limits', 'observe'],
  openapi: ['http', 'limits'],
  postgres: ['artifact', 'bytes', 'errors', 'limits', 'observe'],
  log: ['bytes', 'errors', 'limits', 'observe', 'record'],
  ledger: ['artifact', 'bytes', 'errors', 'limits', 'observe', 'postgres', 'record'],
  ingress: [
    'artifact',
    'batch',
    'bytes',
    'errors',
    'http',
    'limits',
    'log',
    'observe',
    'receipt',
    'record',
  ],
  query: [
    'batch',
    'bytes',
    'errors',
    'http',
    'ledger',
    'limits',
    'observe',
    'postgres',
    'receipt',
    'record',
  ],
  worker: [
    'artifact',
    'bytes',
    'errors',
    'ledger',
    'limits',
    'log',
    'observe',
    'postgres',
    'record',
  ],
  flags: ['errors', 'limits', 'record'],
  'data-dir': ['errors', 'flags'],
  config: ['commands', 'errors', 'flags', 'limits', 'observe', 'record'],
}

/** Rooms that put the others together. */
const composes = ['main', 'program', 'banner', 'commands']

/**
 * Files every room may import, wherever they stand: each is a list of names or shapes and does
 * nothing unasked.
 */
const shared = ['testing/crash.ts']

/**
 * Rooms that may name the types of another without running any of it; every room may name those of
 * config.
 */
const mayNameTypesOf: Rooms = {
  // Offsets and positions are the log's notions, and the checkpoint stores them.
  ledger: ['log'],
  receipt: ['log'],
  http: ['ingress'],
  observe: ['http', 'log'],
  config: ['log', 'postgres', 'ledger', 'worker', 'ingress'],
}

/** Packages only these files may import. */
const packageOwners: Readonly<Record<string, RegExp | undefined>> = {
  'uWebSockets.js': /^http\/server\.ts$/,
  '@confluentinc/kafka-javascript': /^(log|testing)\/kafka[^/]*\.ts$/,
  piscina: /^ingress\/decode-pool\.ts$/,
  '#client': /^(commands|testing)\//,
  lmdb: /^(log|testing)\/embedded[^/]*\.ts$/,
}

export interface Import {
  /** Path of the importing file below src/. */
  from: string
  /** Path of the imported file below src/, or the name of a package or of a module of Node. */
  to: string
  isPackage: boolean
  /** Gone after compilation. */
  typeOnly: boolean
}

export function isTest(file: string): boolean {
  return file.endsWith('.test.ts') || file.startsWith('testing/') || /\/conformance/.test(file)
}

export function isGenerated(file: string): boolean {
  return file.includes('/gen/')
}

/** The rule an import breaks, as a sentence; undefined when it breaks none. */
export function brokenRule(
  imported: Import,
  devDependencies: readonly string[],
): string | undefined {
  return imported.isPackage
    ? brokenPackageRule(imported, devDependencies)
    : brokenRoomRule(imported)
}

function brokenPackageRule(
  { from, to, typeOnly }: Import,
  devDependencies: readonly string[],
): string | undefined {
  const owner = packageOwners[to]
  if (owner !== undefined && !owner.test(from)) return `${to} is imported by ${owner.source} only`
  if (isTest(from) || isGenerated(from)) return undefined
  const pure = roomOf(from) === 'bytes' || roomOf(from) === 'record'
  if (pure && !pureModules.includes(to)) return `${roomOf(from)}/ knows no I/O and no packages`
  if (!typeOnly && devDependencies.includes(to)) return `${to} is a development dependency`
  return undefined
}

const pureModules = ['node:assert', 'node:assert/strict', 'node:buffer']

function brokenRoomRule({ from, to, typeOnly }: Import): string | undefined {
  if (isTest(from) || shared.includes(to)) return undefined
  if (isGenerated(to)) return 'generated code serves tests; the program reads wire bytes itself'
  const [room, target] = [roomOf(from), roomOf(to)]
  if (target === 'testing') return 'the program holds nothing that exists for tests'
  if (room === target || composes.includes(room)) return undefined
  if (mayImport[room]?.includes(target)) return undefined
  if (typeOnly && (target === 'config' || mayNameTypesOf[room]?.includes(target))) return undefined
  return `${room} may not import from ${target}`
}

/** First folder below src/; for a file at the top, its name. */
function roomOf(file: string): string {
  return /^[^/.]+/.exec(file)?.[0] ?? file
}
