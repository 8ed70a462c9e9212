// `transaction-ledger restore`: brings archived days back into the tables.
// In:  a directory that archive wrote, the databases; the program may be running meanwhile.
// Out: the same entries, bit for bit; what was held for those days is merged.
// Absent: SQL (ledger/archive.ts), the form of a file (archive/leaf-file.ts).

import { join } from 'node:path'
import { maskUrl } from '../config.ts'
import { LedgerError, messageOf } from '../errors.ts'
import { restoreDay } from '../ledger/archive.ts'
import { daysBefore, reopenDay } from '../ledger/archive-days.ts'
import { bucketsOf } from '../ledger/buckets.ts'
import type { MergeCounts } from '../ledger/merge.ts'
import { createLogger } from '../observe/logger.ts'
import { armCrash } from '../testing/crash.ts'
import { connectArchive, type ArchiveConnection } from './archive/connect.ts'
import { inspectLeafFile, loadLeafFile } from './archive/leaf-file.ts'
import { readManifests, type FoundManifest } from './archive/manifest.ts'
import { dateOf, runCommand, type CommandLine, type CommandSyntax } from './arguments.ts'
import { withDatabases } from './databases.ts'

const syntax: CommandSyntax = {
  introduction: `transaction-ledger restore: brings days that archive wrote back into the
tables, bit for bit; into the database they came from, or into another one with as many buckets.
The program may run meanwhile. Checksums are verified before anything is changed, and a day is
brought back as a whole or not at all. What came for it meanwhile (ledger.held_entries) becomes
entries, repetitions or conflicts.
`,
  own: {
    from: {
      value: 'DIR',
      help: 'The directory that was given to archive --to, or one of those in it.',
    },
    day: { value: 'DATE', help: 'Only this day (UTC).' },
    reopen: {
      help: 'Instead, open days again that archive has closed and that are in the tables still.',
    },
  },
  shared: ['database-url', 'data-dir', 'cache-dir'],
}

export function runRestore(argv: readonly string[]): Promise<number> {
  return runCommand(syntax, argv, restore)
}

async function restore({ own, config }: CommandLine): Promise<number> {
  const day = own['day'] === undefined ? undefined : dateOf('day', own['day'])
  const from = own['from']
  const reopens = own['reopen'] === 'true'
  if ((from === undefined) !== reopens) {
    throw new LedgerError('CONFIG_INVALID', 'Expected either --from DIR or --reopen.')
  }
  if (config.crashAt !== undefined) armCrash(config.crashAt)
  const found = from === undefined ? [] : await readManifests(from)
  const wanted = found.filter(({ manifest }) => day === undefined || manifest.day === day)
  if (from !== undefined && wanted.length === 0) {
    throw new LedgerError('CONFIG_INVALID', `${from}: expected files of ${day}, found none.`)
  }
  const logger = createLogger(config.logLevel, config.logFormat)
  return withDatabases(config, logger, async (urls) => {
    const seen = new Set<FoundManifest>()
    let refused = 0
    for (const url of urls) {
      const database = await connectArchive(url)
      try {
        if (reopens) await reopen(database, url, day)
        else refused += await restoreDatabase(database, wanted, seen)
      } finally {
        await database.connection.close()
      }
    }
    for (const one of wanted.filter((each) => !seen.has(each))) {
      refuse(one.directory, `no database given here has bucket ${one.manifest.bucket}`)
      refused += 1
    }
    return refused === 0 ? 0 : 1
  })
}

async function reopen({ connection }: ArchiveConnection, url: string, day: string | undefined) {
  const days = await daysBefore(connection, '9999-12-31')
  let reopened = 0
  for (const known of days) {
    if (known.closing === undefined || known.isArchived) continue
    if (day !== undefined && known.day !== day) continue
    const merged = await reopenDay(connection, known)
    say(`bucket ${known.bucket}, ${known.day}: open again${mergedText(merged)}`)
    reopened += 1
  }
  say(`${maskUrl(url)}: ${reopened} days of buckets opened again.`)
}

/** Returns how many days could not be restored. */
async function restoreDatabase(
  { connection, layout }: ArchiveConnection,
  wanted: readonly FoundManifest[],
  seen: Set<FoundManifest>,
): Promise<number> {
  const buckets = bucketsOf(layout)
  let refused = 0
  for (const [index, found] of wanted.entries()) {
    const { directory, manifest } = found
    if (manifest.buckets !== layout.buckets) {
      throw new LedgerError(
        'LAYOUT_MISMATCH',
        `${directory}: expected ${layout.buckets} buckets, as ${connection.where} has, ` +
          `found ${manifest.buckets}.`,
      )
    }
    if (!buckets.includes(manifest.bucket)) continue
    seen.add(found)
    const started = performance.now()
    try {
      await verifyFiles(found)
      const leaves = manifest.leaves.map(({ leaf, low, high, file, ...content }) => ({
        leaf,
        bounds: low === null || high === null ? undefined : { low, high },
        load: (table: string) => loadLeafFile(connection, table, join(directory, file), content),
      }))
      const merged = await restoreDay(connection, manifest, manifest.closing, leaves)
      const seconds = ((performance.now() - started) / 1000).toFixed(1)
      say(
        `bucket ${manifest.bucket}, ${manifest.day} (${index + 1} of ${wanted.length}): ` +
          `${manifest.entries} entries are back, ${seconds} s${mergedText(merged)}`,
      )
    } catch (error) {
      if (connection.lost !== undefined || !(error instanceof LedgerError)) throw error
      refuse(directory, messageOf(error))
      refused += 1
    }
  }
  return refused
}

async function verifyFiles({ directory, manifest }: FoundManifest): Promise<void> {
  for (const { file, leaf, low, high, ...expected } of manifest.leaves) {
    const found = await inspectLeafFile(join(directory, file))
    const [wanted, is] = [expected.sha256, found.sha256]
    if (wanted === is && expected.contentSha256 === found.contentSha256) continue
    const message = `${join(directory, file)}: expected SHA-256 ${wanted}, found ${is}.`
    throw new LedgerError('CONFIG_INVALID', `${message} ${leaf} is not restored.`)
  }
}

function mergedText({ inserted, duplicates, conflicts }: MergeCounts): string {
  if (inserted + duplicates + conflicts === 0) return ''
  return (
    `; of those held for it ${inserted} are new, ${duplicates} repeat an entry, ` +
    `${conflicts} conflict with one`
  )
}

function say(line: string): void {
  process.stdout.write(`${line}\n`)
}

function refuse(directory: string, reason: string): void {
  process.stderr.write(`${directory}: not restored: ${reason}\n`)
}
