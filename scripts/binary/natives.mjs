// What the native parts of the executable are made of, beyond the packages they come in.
// In:  the parts, with their files.
// Out: components with version, licence and text.
// Absent: packages of npm (licenses.mjs).

import fs from 'node:fs'
import path from 'node:path'
import { SetupError, root } from '../run.mjs'

const texts = 'scripts/binary/licenses'
const kafka = 'node_modules/@confluentinc/kafka-javascript/deps/librdkafka'
const lmdb = 'node_modules/lmdb/dependencies'
const apache = 'LICENSE'

/**
 * `version` is a pattern that finds it in the component's own bytes or headers, a name under which
 * the part knows it, or '' where nothing tells.
 */
const components = {
  uws: [
    { name: 'uSockets, in uWebSockets.js', license: 'Apache-2.0', text: apache },
    { name: 'BoringSSL, in uWebSockets.js', license: 'OpenSSL', text: `${texts}/boringssl.txt` },
    { name: 'LSQUIC, in uWebSockets.js', license: 'MIT', text: `${texts}/lsquic.txt` },
    {
      name: 'libstdc++ and libgcc, in uWebSockets.js',
      license: 'GPL-3.0-or-later WITH GCC-exception-3.1',
      text: `${texts}/gcc-runtime.txt`,
    },
  ],
  lmdb: [
    {
      name: 'LMDB, in lmdb',
      license: 'OLDAP-2.8',
      text: `${lmdb}/lmdb/libraries/liblmdb/LICENSE`,
      notice: `${lmdb}/lmdb/libraries/liblmdb/COPYRIGHT`,
    },
    { name: 'LZ4, in lmdb', license: 'BSD-2-Clause', text: `${lmdb}/lz4/lib/LICENSE` },
  ],
  kafka: [
    { name: 'librdkafka', license: 'BSD-2-Clause', text: `${kafka}/LICENSES.txt`, known: true },
    { name: 'OpenSSL in librdkafka', license: 'Apache-2.0', text: apache, known: true },
    { name: 'zlib in librdkafka', license: 'Zlib', text: `${texts}/zlib.txt`, known: true },
    { name: 'zstd in librdkafka', license: 'BSD-3-Clause', text: `${texts}/zstd.txt`, known: true },
  ],
  // Upstream's own build links in curl besides, and says of none of them which version it is.
  'prebuilt kafka': [
    { name: 'librdkafka', license: 'BSD-2-Clause', text: `${kafka}/LICENSES.txt`, known: true },
    { name: 'OpenSSL, in librdkafka', license: 'Apache-2.0', text: apache },
    { name: 'curl, in librdkafka', license: 'curl', text: `${texts}/curl.txt` },
    { name: 'zlib, in librdkafka', license: 'Zlib', text: `${texts}/zlib.txt` },
    { name: 'zstd, in librdkafka', license: 'BSD-3-Clause', text: `${texts}/zstd.txt` },
  ],
  postgresql: [
    { name: 'PostgreSQL', license: 'PostgreSQL', text: `${texts}/postgresql.txt`, known: true },
  ],
}

/** Libraries that come with PostgreSQL, by their files. One that is not here ends the build. */
const libraries = [
  { files: /^libpq\./, component: 'PostgreSQL' },
  {
    files: /^lib(ssl|crypto)\.so\.1\.1$/,
    component: 'OpenSSL, beside PostgreSQL',
    license: 'OpenSSL',
    text: `${texts}/openssl-1.1.txt`,
    version: /OpenSSL (1\.1\.\d\w?) /,
  },
  {
    files: /^libicu(i18n|uc|data)\./,
    component: 'ICU, beside PostgreSQL',
    license: 'ICU',
    text: `${texts}/icu.txt`,
    version: /icudt(\d+)/,
  },
  {
    files: /^libxml2\./,
    component: 'libxml2, beside PostgreSQL',
    license: 'MIT',
    text: `${texts}/libxml2.txt`,
    version: /(2\d{2}0\d)\0/,
  },
  {
    files: /^libz\./,
    component: 'zlib, beside PostgreSQL',
    license: 'Zlib',
    text: `${texts}/zlib.txt`,
    version: / deflate ([\d.]+) /,
  },
  {
    files: /^liblzma\./,
    component: 'liblzma, beside PostgreSQL',
    license: 'public domain',
    text: `${texts}/liblzma.txt`,
    version: /\0(5\.\d+\.\d+)\0/,
  },
]

export function natives(parts) {
  const found = new Map()
  for (const part of parts) {
    for (const one of components[part.prebuilt ? `prebuilt ${part.name}` : part.name]) {
      const version = one.known ? part.versions[one.name] : 'as in that package'
      found.set(one.name, { ...one, version, text: read(one.text, one.notice) })
    }
  }
  for (const { path: file, source } of parts.find(({ name }) => name === 'postgresql').files) {
    const name = path.basename(file)
    if (!/^lib\/[^/]+$/.test(file)) continue
    const library = libraries.find(({ files }) => files.test(name))
    if (library === undefined) {
      throw new SetupError(`${source}: expected a library whose licence is known, found another.`)
    }
    addLibrary(found, library, source)
  }
  return [...found.values()]
}

function addLibrary(found, { component, license, text, version }, source) {
  if (license === undefined) return
  const [, number] = version.exec(fs.readFileSync(source, 'latin1')) ?? []
  const known = found.get(component)
  if (known !== undefined && known.version !== '') return
  found.set(component, { name: component, version: number ?? '', license, text: read(text) })
}

function read(...files) {
  return files
    .filter((file) => file !== undefined)
    .map((file) => fs.readFileSync(path.join(root, file), 'utf8'))
    .join('\n\n')
}
