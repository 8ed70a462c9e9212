// What says which files make up a day of a bucket, and how each may be told from any other.
// In:  a directory; what was archived.
// Out: manifests, written so that there is a whole one or none; read and checked.
// Absent: the files themselves (leaf-file.ts).

import { createHash } from 'node:crypto'
import { readdir, readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { LedgerError, messageOf } from '../../errors.ts'
import type { BucketDay } from '../../ledger/archive-days.ts'
import { lowestIdAt, dayMilliseconds } from '../../ledger/leaves.ts'
import { crashPoint } from '../../testing/crash.ts'
import { syncFile, type LeafContent } from './leaf-file.ts'

export interface ManifestLeaf extends LeafContent {
  leaf: string
  /** Ids of the leaf; null for the leaf of all others of the day. */
  low: string | null
  high: string | null
  file: string
}

export interface Manifest extends BucketDay {
  format: typeof manifestFormat
  /** Files are `COPY (FORMAT binary)` of these, compressed with gzip. */
  columns: string
  /** Of the program that wrote it. */
  program: string
  /** Schema file applied last. */
  schema: number
  /** Hash buckets over all databases. */
  buckets: number
  closing: string
  entries: string
  sum: string
  earliest: string | null
  latest: string | null
  leaves: ManifestLeaf[]
}

export const manifestFormat = 'transaction-ledger-archive/1'
const fileName = 'manifest.json'

/** Nothing that was archived at another time is ever written over. */
export function directoryOfDay({ bucket, day }: BucketDay, closing: string): string {
  return `b${String(bucket).padStart(2, '0')}-${day}-${closing}`
}

/** Resolves with the SHA-256 of the manifest once it is on disk. */
export async function writeManifest(directory: string, manifest: Manifest): Promise<string> {
  const text = `${JSON.stringify(manifest, undefined, 2)}\n`
  const path = join(directory, fileName)
  await writeFile(`${path}.part`, text)
  await syncFile(`${path}.part`)
  await rename(`${path}.part`, path)
  await syncFile(directory)
  crashPoint('after-archive-manifest')
  return createHash('sha256').update(text).digest('hex')
}

export interface FoundManifest {
  directory: string
  manifest: Manifest
}

/** Those of a directory, or of the directories in it, by day and bucket. */
export async function readManifests(from: string): Promise<FoundManifest[]> {
  const names = await readdir(from).catch((error: unknown) => {
    throw refusal(from, 'a directory that archive wrote', messageOf(error))
  })
  const directories = names.includes(fileName)
    ? [from]
    : names.filter((name) => /^b\d\d-\d{4}-\d\d-\d\d-[0-9a-f-]{36}$/.test(name)).sort()
  const found: FoundManifest[] = []
  for (const name of directories) {
    const directory = name === from ? from : join(from, name)
    const text = await readFile(join(directory, fileName), 'utf8').catch(() => undefined)
    // A day that was not finished has no manifest, and its entries are in the tables still.
    if (text === undefined) continue
    found.push({ directory, manifest: manifestOf(directory, text) })
  }
  if (found.length === 0) throw refusal(from, 'a directory that archive wrote', 'no manifest there')
  const keyOf = ({ manifest: { day, bucket } }: FoundManifest): string =>
    `${day} ${String(bucket).padStart(3, '0')}`
  return found.sort((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1))
}

/** Its names end up in SQL and in paths, so they must be what they claim to be. */
function manifestOf(directory: string, text: string): Manifest {
  const path = join(directory, fileName)
  let found: Partial<Manifest>
  try {
    found = JSON.parse(text) as Partial<Manifest>
  } catch (error) {
    throw refusal(path, 'JSON', messageOf(error))
  }
  if (found.format !== manifestFormat) throw refusal(path, manifestFormat, String(found.format))
  const { bucket = -1, day = '', leaves = [] } = found
  const milliseconds = Date.parse(`${day}T00:00:00Z`)
  const prefix = `transactions_b${String(bucket).padStart(2, '0')}_${day.replaceAll('-', '')}_`
  const isUuid = (id: unknown): boolean => typeof id === 'string' && /^[0-9a-f-]{36}$/.test(id)
  const isRight =
    Number.isInteger(bucket) &&
    /^\d{4}-\d\d-\d\d$/.test(day) &&
    found.low === lowestIdAt(milliseconds) &&
    found.high === lowestIdAt(milliseconds + dayMilliseconds) &&
    isUuid(found.closing) &&
    leaves.filter(({ low }) => low === null).length === 1 &&
    leaves.every(
      ({ leaf, low, high, file }) =>
        leaf.startsWith(prefix) &&
        /^(rest|\d{6})$/.test(leaf.slice(prefix.length)) &&
        ((low === null && high === null) || (isUuid(low) && isUuid(high))) &&
        file === `${leaf}.copy.gz`,
    )
  if (!isRight) throw refusal(path, 'a day of a bucket with its leaves', 'something else')
  return found as Manifest
}

function refusal(path: string, expected: string, found: string): LedgerError {
  return new LedgerError('CONFIG_INVALID', `${path}: expected ${expected}, found ${found}.`)
}
