// Builds the librdkafka that goes into the executable: one that needs nothing but the C library.
// In:  librdkafka's sources in the Kafka client's npm package, the system's static libraries.
// Out: librdkafka.so.1 under node_modules/.cache, built once.
// Absent: the addon itself (kafka-addon.mjs), Kerberos and OIDC, whose libraries belong to the
//      system they run on.

import { createHash } from 'node:crypto'
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { SetupError, root, run, say, tail } from '../run.mjs'

const sources = path.join(root, 'node_modules/@confluentinc/kafka-javascript/deps/librdkafka')
const libraryName = 'librdkafka.so.1'

/**
 * OpenSSL, zlib and zstd are linked in. librdkafka then looks for the certificates of the system
 * in the places that distributions keep them, since OpenSSL knows those of Debian only.
 */
const options = [
  '--enable-static',
  '--disable-gssapi',
  '--disable-curl',
  '--disable-lz4-ext',
  '--disable-debug-symbols',
  '--CPPFLAGS=-DWITH_STATIC_LIB_libcrypto=1',
]

/** Path of the library. */
export async function staticLibrdkafka() {
  const cache = path.join(root, 'node_modules/.cache/librdkafka')
  const library = path.join(cache, hashOfInputs(), libraryName)
  if (fs.existsSync(library)) return library
  say('Building librdkafka with what it needs linked in: a minute or two.')
  fs.mkdirSync(path.dirname(library), { recursive: true })
  const directory = fs.mkdtempSync(path.join(cache, 'build-'))
  try {
    fs.cpSync(sources, directory, { recursive: true, filter: isSource })
    await step(directory, './configure', options)
    const jobs = `-j${os.availableParallelism()}`
    await step(directory, 'make', [jobs, '-C', 'src', libraryName])
    const built = path.join(directory, 'src', libraryName)
    await step(directory, 'strip', ['--strip-unneeded', built])
    fs.renameSync(built, library)
  } finally {
    fs.rmSync(directory, { recursive: true })
  }
  return library
}

/** Not what a build for the clone has left: it was configured otherwise. */
function isSource(file) {
  const name = path.relative(sources, file)
  return !/^(tests|examples)(\/|$)/.test(name) && !leftovers.test(path.basename(name))
}

const leftovers = /\.(o|a|d|so(\.\d+)?|pc|lds)$|^(config\.(h|cache|log.*)|Makefile\.config)$/

/** The library changes with its version, its options and what is linked into it. */
function hashOfInputs() {
  const hash = createHash('sha256').update(options.join('\0'))
  const headers = ['openssl/opensslv.h', 'zlib.h', 'zstd.h'].map((name) => `/usr/include/${name}`)
  for (const file of [path.join(sources, 'src/rdkafka.h'), ...headers]) {
    if (fs.existsSync(file)) hash.update(fs.readFileSync(file))
  }
  return hash.digest('hex').slice(0, 16)
}

async function step(cwd, command, args) {
  const { code, output } = await run(command, args, { cwd })
  if (code !== 0) throw new SetupError(`Building librdkafka: ${command} failed.\n${tail(output)}`)
}

/** What the library contains: name and version of each, as the headers it was built with say. */
export function librdkafkaParts() {
  const zstd = ['MAJOR', 'MINOR', 'RELEASE']
    .map((part) => match('/usr/include/zstd.h', new RegExp(`ZSTD_VERSION_${part} +(\\d+)`)))
    .join('.')
  return {
    librdkafka: librdkafkaVersion(),
    'OpenSSL in librdkafka': match('/usr/include/openssl/opensslv.h', /VERSION_STR "([^"]+)"/),
    'zlib in librdkafka': match('/usr/include/zlib.h', /ZLIB_VERSION "([^"]+)"/),
    'zstd in librdkafka': zstd,
  }
}

export function librdkafkaVersion() {
  const header = path.join(sources, 'src/rdkafka.h')
  const number = Number(match(header, /RD_KAFKA_VERSION +(0x\w{8})/))
  return [24, 16, 8].map((bits) => (number >>> bits) & 0xff).join('.')
}

function match(file, pattern) {
  const found = pattern.exec(fs.readFileSync(file, 'utf8'))
  if (!found) throw new SetupError(`${file}: expected a version that fits ${pattern}, found none.`)
  return found[1]
}
