// The licences of everything that is inside the executable.
// In:  the files that were bundled; the native parts; licence texts, from the packages themselves,
//      or from licenses/ for what comes without.
// Out: one text: each component with its version, its licence and that licence in full.
// Absent: judgement; a licence that is not on the list below ends the build.

import fs from 'node:fs'
import path from 'node:path'
import { SetupError, root } from '../run.mjs'
import { natives } from './natives.mjs'

const texts = path.join(root, 'scripts/binary/licenses')

/** Licences that let us ship a component inside a program under any terms, with a notice. */
const allowed = new Set([
  '0BSD',
  'Apache-2.0',
  'BSD-2-Clause',
  'BSD-3-Clause',
  'BlueOak-1.0.0',
  'CC0-1.0',
  'ICU',
  'ISC',
  'MIT',
  'OLDAP-2.8',
  'OpenSSL',
  'PostgreSQL',
  'Unlicense',
  'Zlib',
  'curl',
  'public domain',
  // The exception is what allows it; without it, it would not be here.
  'GPL-3.0-or-later WITH GCC-exception-3.1',
])

/** What package.json says of itself is wrong here; the file LICENSE beside it is right. */
const corrections = { 'uWebSockets.js': 'Apache-2.0' }

export function licensesText(inputs, parts) {
  const components = [nodeItself(), ...natives(parts), ...packagesOf(inputs, parts)]
  for (const { name, version, license, text } of components) {
    if (!isAllowed(license)) {
      throw new SetupError(
        `${name} ${version} is under ${JSON.stringify(license)}: expected one of the licences in ` +
          'scripts/binary/licenses.mjs. It cannot go into the executable.',
      )
    }
    if (!(text?.length > 100)) throw new SetupError(`${name} ${version}: found no licence text.`)
  }
  const sorted = components.sort((a, b) => (a.name.toLowerCase() < b.name.toLowerCase() ? -1 : 1))
  const list = sorted.map(({ name, version, license }) => `  ${name} ${version} (${license})`)
  const ours = 'Transaction Ledger is under the Apache License 2.0. This executable contains:'
  const line = '='.repeat(80)
  const each = sorted.map(
    ({ name, version, license, text }) =>
      `${line}\n${name} ${version}\nLicence: ${license}\n${line}\n\n${text.trimEnd()}\n`,
  )
  return [ours, '', ...list, '', ...each].join('\n')
}

/** Of an expression such as `(MIT AND Zlib)`: each must be on the list; of one with OR, any. */
function isAllowed(expression) {
  if (allowed.has(expression)) return true
  const parts = (word) => String(expression).replace(/[()]/g, '').split(` ${word} `)
  if (parts('OR').length > 1) return parts('OR').some((one) => allowed.has(one))
  return parts('AND').every((one) => allowed.has(one))
}

/** With what Node contains: V8, OpenSSL, libuv, ICU and more are listed in its own licence. */
function nodeItself() {
  const prefix = path.dirname(path.dirname(fs.realpathSync(process.execPath)))
  const places = ['LICENSE', 'share/doc/nodejs/LICENSE', 'share/doc/node/LICENSE']
  const files = [...places, 'share/doc/nodejs/copyright'].map((name) => path.join(prefix, name))
  const file = files.find((name) => fs.existsSync(name))
  if (file === undefined) {
    throw new SetupError(`Expected the licence of Node in one of ${files.join(', ')}, found none.`)
  }
  const text = fs.readFileSync(file, 'utf8')
  if (!text.includes('V8')) throw new SetupError(`${file} is not the licence of Node.`)
  return { name: 'Node.js', version: process.versions.node, license: 'MIT', text }
}

/** The packages that bundled files belong to, and those whose native parts are inside. */
function packagesOf(inputs, parts) {
  const folders = new Set(parts.flatMap((part) => part.packages))
  for (const input of inputs) {
    const [folder] = /^.*node_modules\/(@[^/]+\/)?[^/]+/.exec(input) ?? []
    if (folder !== undefined) folders.add(folder)
  }
  return [...folders].map((folder) => {
    const directory = path.join(root, folder)
    const { name, version, license } = JSON.parse(
      fs.readFileSync(path.join(directory, 'package.json'), 'utf8'),
    )
    const known = folder.replace(/^.*node_modules\//, '')
    const text = textIn(directory) ?? textOf(known.replace('/', '-'), license)
    return { name, version, license: corrections[known] ?? license, text }
  })
}

/** Files beside package.json, or else the section of the README where some packages put it. */
function textIn(directory) {
  const files = fs
    .readdirSync(directory)
    .filter((name) => /^(licen[sc]e|copying|copyright|notice)/i.test(name))
    .sort()
  if (files.length > 0) {
    return files.map((name) => fs.readFileSync(path.join(directory, name), 'utf8')).join('\n\n')
  }
  const readme = path.join(directory, 'README.md')
  if (!fs.existsSync(readme)) return undefined
  const [, section] = fs.readFileSync(readme, 'utf8').split(/^#+ licen[sc]e\s*$/im)
  return section?.includes('Permission is hereby granted') ? section.trim() : undefined
}

/** The Apache License is the same text for everybody, and our own. */
function textOf(name, license) {
  const ours = path.join(root, 'LICENSE')
  const file = license === 'Apache-2.0' ? ours : path.join(texts, `${name}.txt`)
  return fs.existsSync(file) ? fs.readFileSync(file, 'utf8') : undefined
}
