// `transaction-ledger archive`: moves the entries of old days into compressed files.
// In:  a date, a directory, the databases; the program may be running meanwhile.
// Out: a directory for each day and bucket, and tables without those entries; balances as before.
// Absent: SQL (ledger/archive.ts), the form of a file (archive/leaf-file.ts).

/*
 * For each day: close it, write its files, read each back, write the manifest, and only then drop
 * the entries, if they add up to what the files hold. Whatever ends this in between, the entries
 * are in the tables or in files that are on disk and were read, or in both; the same command goes
 * on.
 */

import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { version } from '../artifact/executable.ts'
import { maskUrl } from '../config.ts'
import { LedgerError } from '../errors.ts'
import { dropDay } from '../ledger/archive.ts'
import {
  closeDay,
  daysBefore,
  hasRows,
  leavesOfDay,
  tableOfDay,
  type KnownDay,
} from '../ledger/archive-days.ts'
import { dayMilliseconds } from '../ledger/leaves.ts'
import { createLogger } from '../observe/logger.ts'
import type { Connection } from '../postgres/connection.ts'
import { armCrash } from '../testing/crash.ts'
import { connectArchive } from './archive/connect.ts'
import { columns, inspectLeafFile, writeLeafFile, type LeafContent } from './archive/leaf-file.ts'
import {
  directoryOfDay,
  manifestFormat,
  writeManifest,
  type ManifestLeaf,
} from './archive/manifest.ts'
import { dateOf, runCommand, type CommandLine, type CommandSyntax } from './arguments.ts'
import { withDatabases } from './databases.ts'

const syntax: CommandSyntax = {
  introduction: `transaction-ledger archive: moves the entries of old days from the tables into
compressed files. The program may run meanwhile. Balances stay as they are; the entries
themselves can be read again after restore. It may be interrupted at any time: the same command
goes on.

Days go by the time in the ids. What comes later with an id of an archived day is kept in
ledger.held_entries: whether it repeats an archived entry can be told only once the day is
restored.
`,
  own: {
    before: {
      value: 'DATE',
      help: 'Days before this one (UTC), which is yesterday at the latest; such as 2026-01-31.',
    },
    to: { value: 'DIR', help: 'Where the files go; made where it does not exist.' },
  },
  shared: ['database-url', 'data-dir', 'cache-dir'],
}

export function runArchive(argv: readonly string[]): Promise<number> {
  return runCommand(syntax, argv, archive)
}

async function archive({ own, config }: CommandLine): Promise<number> {
  const before = dateOf('before', own['before'])
  const yesterday = new Date(Date.now() - dayMilliseconds).toISOString().slice(0, 10)
  if (before > yesterday) {
    const message = `--before: expected ${yesterday} at the latest, found ${before}.`
    throw new LedgerError('CONFIG_INVALID', message)
  }
  const to = own['to']
  if (to === undefined) {
    throw new LedgerError('CONFIG_INVALID', '--to: expected a directory, found nothing.')
  }
  if (config.crashAt !== undefined) armCrash(config.crashAt)
  const logger = createLogger(config.logLevel, config.logFormat)
  await mkdir(to, { recursive: true }).catch((cause: unknown) => {
    throw new LedgerError('CONFIG_INVALID', `--to: ${String(cause)}.`, { cause })
  })
  await withDatabases(config, logger, async (urls) => {
    for (const url of urls) await archiveDatabase(url, before, to)
  })
  return 0
}

async function archiveDatabase(url: string, before: string, to: string): Promise<void> {
  const { connection, layout, schema } = await connectArchive(url)
  try {
    const days: KnownDay[] = []
    for (const day of await daysBefore(connection, before)) {
      if (!day.isArchived && (await hasRows(connection, tableOfDay(day)))) days.push(day)
    }
    const facts = { schema, buckets: layout.buckets, program: version() }
    let entries = 0n
    for (const [index, day] of days.entries()) {
      const place = `day ${index + 1} of ${days.length}`
      entries += await archiveDay(connection, day, { to, place, facts })
    }
    say(`${maskUrl(url)}: ${entries} entries of ${days.length} days of buckets archived.`)
    if (days.length > 0) {
      say(
        'From now on an entry with an id of one of these days is kept in ' +
          'ledger.held_entries: only a restored day tells whether it repeats one. ' +
          'Ids of other days, and those that are in ' +
          'no day, stay unique as before.',
      )
    }
  } finally {
    await connection.close()
  }
}

interface Task {
  to: string
  place: string
  facts: { schema: number; buckets: number; program: string }
}

/** Returns how many entries. */
async function archiveDay(
  connection: Connection,
  day: KnownDay,
  { to, place, facts }: Task,
): Promise<bigint> {
  const started = performance.now()
  const closing = await closeDay(connection, day)
  const directory = join(to, directoryOfDay(day, closing))
  await mkdir(directory, { recursive: true })
  const leaves: ManifestLeaf[] = []
  for (const { leaf, bounds } of await leavesOfDay(connection, day)) {
    const file = `${leaf}.copy.gz`
    const content = await leafFile(connection, leaf, join(directory, file))
    leaves.push({ leaf, low: bounds?.low ?? null, high: bounds?.high ?? null, file, ...content })
  }
  const sums = addedUp(leaves)
  const { bucket, day: date, low, high } = day
  const manifest = await writeManifest(directory, {
    format: manifestFormat,
    columns,
    ...facts,
    ...{ bucket, day: date, low, high, closing },
    ...sums,
    leaves,
  })
  await dropDay(connection, day, { closing, manifest, ...sums })
  const bytes = leaves.reduce((sum, leaf) => sum + leaf.bytes, 0)
  const seconds = ((performance.now() - started) / 1000).toFixed(1)
  say(
    `bucket ${day.bucket}, ${day.day} (${place}): ${sums.entries} entries, ` +
      `${(bytes / 1e6).toFixed(1)} MB in ${directory}, ${seconds} s`,
  )
  return BigInt(sums.entries)
}

/** Written, unless an earlier attempt has written it; and read back in either case. */
async function leafFile(connection: Connection, leaf: string, path: string): Promise<LeafContent> {
  const known = await inspectLeafFile(path).catch(() => undefined)
  if (known !== undefined) return known
  await writeLeafFile(connection, `ledger.${leaf}`, path)
  return inspectLeafFile(path)
}

function addedUp(leaves: readonly LeafContent[]) {
  const sum = (of: (leaf: LeafContent) => string): string =>
    String(leaves.reduce((total, leaf) => total + BigInt(of(leaf)), 0n))
  // RFC 3339 in UTC with equally many digits sorts as text.
  const earliest = leaves.flatMap((leaf) => leaf.earliest ?? []).sort()
  const latest = leaves.flatMap((leaf) => leaf.latest ?? []).sort()
  return {
    entries: sum(({ entries }) => entries),
    sum: sum((leaf) => leaf.sum),
    earliest: earliest.at(0) ?? null,
    latest: latest.at(-1) ?? null,
  }
}

function say(line: string): void {
  process.stdout.write(`${line}\n`)
}
