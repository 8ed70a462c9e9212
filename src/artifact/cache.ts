// Unpacks what the system can only use as files: native addons, and the embedded PostgreSQL.
// In:  archives of the executable; directories that may be used, the best first.
// Out: directories with their content, named after it; made once and used by every later start.
// Absent: removing what older versions have left.

import {
  accessSync,
  chmodSync,
  constants,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
  type Stats,
} from 'node:fs'
import { randomBytes } from 'node:crypto'
import { dirname, join } from 'node:path'
import { brotliDecompressSync } from 'node:zlib'
import { LedgerError, messageOf } from '../errors.ts'
import { archive as readArchive, type Archive, type ArchiveFile } from './executable.ts'

let directories: readonly string[] = []

/** Says where to unpack, the best place first; to be called before anything native is needed. */
export function useCache(candidates: readonly string[]): void {
  directories = candidates
}

const found = new Map<string, string>()

/**
 * Directory with the content of an archive of the executable.
 *
 * @throws LedgerError CONFIG_INVALID that names --cache-dir and why each directory did not do
 */
export function unpacked(name: string): string {
  const known = found.get(name)
  if (known !== undefined) return known
  const { archive, content } = readArchive(name)
  const directory = unpack(archive, content, directories)
  found.set(name, directory)
  return directory
}

/** Uses the first directory that has the archive's content, or where it can be put. */
export function unpack(
  archive: Archive,
  content: Uint8Array,
  candidates: readonly string[],
): string {
  const refusals: string[] = []
  for (const directory of candidates) {
    try {
      return unpackBelow(directory, archive, content)
    } catch (error) {
      refusals.push(`${directory} (${messageOf(error)})`)
    }
  }
  throw new LedgerError(
    'CONFIG_INVALID',
    '--cache-dir (CACHE_DIR): expected a directory for programs, which this user may write to ' +
      `and no other, found ${refusals.join(', ')}.`,
  )
}

function unpackBelow(directory: string, archive: Archive, content: Uint8Array): string {
  const target = join(directory, `${archive.name}-${archive.hash.slice(0, 32)}`)
  makeWithParents(directory)
  assertOurs(directory)
  if (isWhole(target, archive)) return target
  removeOldDrafts(directory)
  const draft = join(directory, `${draftPrefix}${randomBytes(8).toString('hex')}`)
  try {
    mkdirSync(draft, { mode: 0o755 })
    writeContent(draft, archive, content)
    // Something of this name that is not whole lost a part of itself, in a power failure perhaps.
    if (existsSync(target) && !isWhole(target, archive)) renameSync(target, `${draft}.broken`)
    if (!existsSync(target)) moveUnlessThere(draft, target)
  } finally {
    for (const path of [draft, `${draft}.broken`]) rmSync(path, { recursive: true, force: true })
  }
  if (isWhole(target, archive)) return target
  throw new Error(`${target} is not as it was written`)
}

/** Another process that started at the same moment may have been faster; its files are as good. */
function moveUnlessThere(draft: string, target: string): void {
  try {
    renameSync(draft, target)
  } catch (error) {
    if (!existsSync(target)) throw error
  }
}

/** One at a time: Node's recursive mkdir does not come back where a file system refuses a name. */
function makeWithParents(path: string): void {
  if (existsSync(path)) return
  makeWithParents(dirname(path))
  try {
    mkdirSync(path, { mode: 0o755 })
  } catch (error) {
    if (!existsSync(path)) throw error
  }
}

/**
 * What is loaded from here runs as us, so nobody else may have put it here. Root's files are as
 * good as ours: root could do anything to us anyway.
 */
function assertOurs(path: string): Stats {
  const found = lstatSync(path)
  const us = process.geteuid?.() ?? found.uid
  if (found.isSymbolicLink()) throw new Error(`${path} is a link`)
  if (found.uid !== us && found.uid !== 0) throw new Error(`${path} belongs to another user`)
  if ((found.mode & 0o022) !== 0) throw new Error(`${path} can be written to by others`)
  return found
}

/**
 * Sizes are enough: a draft gets its name when it is whole, and after a power failure a file whose
 * bytes did not reach the disk is too short.
 */
function isWhole(target: string, archive: Archive): boolean {
  if (!existsSync(target)) return false
  assertOurs(target)
  for (const file of archive.files) {
    const path = join(target, file.path)
    if (!existsSync(path)) return false
    if ('link' in file) {
      if (readlinkSync(path) !== file.link) return false
      continue
    }
    const { size, mode } = assertOurs(path)
    if (size !== file.bytes || (mode & 0o777) !== file.mode) return false
    if ((file.mode & 0o100) !== 0) assertRuns(path)
  }
  return true
}

function assertRuns(path: string): void {
  try {
    accessSync(path, constants.X_OK)
  } catch (cause) {
    throw new Error(`${path} cannot be run; is it on a file system mounted with noexec?`, { cause })
  }
}

/** Modes are set whatever the umask: the user that PostgreSQL runs as must read these. */
function writeContent(draft: string, archive: Archive, content: Uint8Array): void {
  chmodSync(draft, 0o755)
  const made = new Set([draft])
  for (const file of archive.files) {
    const path = join(draft, file.path)
    makeReadable(dirname(path), made)
    if ('link' in file) {
      symlinkSync(file.link, path)
      continue
    }
    writeFileSync(path, bytesOf(file, content), { flag: 'wx' })
    chmodSync(path, file.mode)
  }
}

function makeReadable(directory: string, made: Set<string>): void {
  if (made.has(directory)) return
  makeReadable(dirname(directory), made)
  mkdirSync(directory)
  chmodSync(directory, 0o755)
  made.add(directory)
}

function bytesOf(file: Extract<ArchiveFile, { start: number }>, content: Uint8Array): Uint8Array {
  const bytes = content.subarray(file.start, file.end)
  return file.packed ? brotliDecompressSync(bytes) : bytes
}

const draftPrefix = '.new-'
/** No start takes this long. */
const draftAgeMs = 15 * 60_000

/** Processes that were killed while they unpacked have left these. */
function removeOldDrafts(directory: string): void {
  for (const name of readdirSync(directory)) {
    if (!name.startsWith(draftPrefix)) continue
    const path = join(directory, name)
    try {
      if (Date.now() - lstatSync(path).mtimeMs < draftAgeMs) continue
      rmSync(path, { recursive: true, force: true })
    } catch {
      // Another process removes it at the same moment.
    }
  }
}
