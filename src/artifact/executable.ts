// Whether this program runs from files or as the one executable, and what the executable holds.
// In:  the assets that scripts/binary.mjs put into the executable; or the files beside this one.
// Out: texts, archives, facts of the build.
// Absent: writing anything to disk (cache.ts).

import { readFileSync, readdirSync } from 'node:fs'
import { getAsset, getRawAsset, isSea } from 'node:sea'

/** A file of an archive: a link, or bytes from `start` to `end`, packed with Brotli if `packed`. */
export type ArchiveFile =
  | { path: string; link: string }
  | { path: string; mode: number; bytes: number; start: number; end: number; packed: boolean }

export interface Archive {
  name: string
  /** SHA-256 of its content, so that another content has another name in the cache. */
  hash: string
  files: readonly ArchiveFile[]
}

/** What scripts/binary.mjs writes down about what it built. */
interface Build {
  version: string
  commit: string | undefined
  /** Name and version of what a bug report should tell. */
  components: Readonly<Record<string, string>>
  archives: readonly Archive[]
  /** Paths below src/ of the texts inside. */
  texts: readonly string[]
}

export const inExecutable = isSea()

let build: Build | undefined

function readBuild(): Build {
  build ??= JSON.parse(getAsset('build.json', 'utf8')) as Build
  return build
}

/** Only in the executable. */
export function archive(name: string): { archive: Archive; content: Uint8Array } {
  const found = readBuild().archives.find((one) => one.name === name)
  if (found === undefined) throw new Error(`The executable holds no archive ${name}.`)
  return { archive: found, content: new Uint8Array(getRawAsset(`archives/${name}`) as ArrayBuffer) }
}

/** Files of a folder below src/ whose names end so, in the order of their names. */
export function textFiles(folder: string, ending: string): { name: string; text: string }[] {
  if (inExecutable) {
    const paths = readBuild().texts.filter((path) => path.startsWith(`${folder}/`))
    return paths
      .map((path) => ({ name: path.slice(folder.length + 1), path }))
      .filter(({ name }) => name.endsWith(ending) && !name.includes('/'))
      .map(({ name, path }) => ({ name, text: getAsset(`texts/${path}`, 'utf8') }))
  }
  const directory = new URL(`../${folder}/`, import.meta.url)
  return readdirSync(directory)
    .filter((name) => name.endsWith(ending))
    .sort()
    .map((name) => ({ name, text: readFileSync(new URL(name, directory), 'utf8') }))
}

/** Source of a thread's entry; only in the executable. */
export function threadSource(name: string): string {
  return getAsset(`threads/${name}.js`, 'utf8')
}

interface Package {
  version: string
  dependencies: Record<string, string>
  optionalDependencies: Record<string, string>
}

function readPackage(): Package {
  return JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as Package
}

/** `0.1.0`, and with the commit it was built from where that is known: `0.1.0 (914230a)`. */
export function version(): string {
  if (!inExecutable) return readPackage().version
  const { version: number, commit } = readBuild()
  return commit === undefined ? number : `${number} (${commit})`
}

/** What a bug report should begin with: this program's version, then those of what it stands on. */
export function versionText(): string {
  const { node } = process.versions
  const clone = (): Record<string, string> => {
    const { dependencies, optionalDependencies } = readPackage()
    return { ...dependencies, ...optionalDependencies }
  }
  const components = inExecutable ? readBuild().components : clone()
  const list = Object.entries({ node, ...components }).map(([name, number]) => `${name} ${number}`)
  const system = `${process.platform} ${process.arch}`
  const form = inExecutable ? 'single executable' : 'from a clone'
  return [`transaction-ledger ${version()}`, `${system}, ${form}`, ...list].join('\n')
}

/** Everything of others that is inside, with its licences in full. */
export function licensesText(): string {
  if (inExecutable) return getAsset('licenses.txt', 'utf8').trimEnd()
  return (
    'Run from a clone, this program contains nothing of others: what it uses is below ' +
    'node_modules, each package with its licence.\n' +
    'The executable that `npm run build` makes lists what it contains.'
  )
}

/** How this program is called from a shell, for --help, and what stands before a command's word. */
export const usage = inExecutable
  ? ['Usage: transaction-ledger [FLAGS]', '       transaction-ledger bench [FLAGS]']
  : ['Usage: npm start -- [FLAGS]', '       npm run bench -- [FLAGS]']
export const commandUsage = inExecutable ? 'transaction-ledger' : 'npm start --'
