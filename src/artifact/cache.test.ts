import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  statSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { brotliCompressSync } from 'node:zlib'
import { LedgerError } from '../errors.ts'
import { temporaryDirectory } from '../testing/guard.ts'
import { unpack } from './cache.ts'
import type { Archive } from './executable.ts'

const library = Buffer.from('a library, many times over. '.repeat(100))
const packed = brotliCompressSync(library)
const note = Buffer.from('note')
const content = Buffer.concat([packed, note])
const archive: Archive = {
  name: 'part',
  hash: 'ab'.repeat(32),
  files: [
    {
      path: 'lib/library.so',
      mode: 0o755,
      bytes: library.length,
      start: 0,
      end: packed.length,
      packed: true,
    },
    {
      path: 'share/deep/note',
      mode: 0o644,
      bytes: note.length,
      start: packed.length,
      end: content.length,
      packed: false,
    },
  ],
}

let directory: ReturnType<typeof temporaryDirectory>
let counter = 0
before(() => {
  directory = temporaryDirectory('cache')
})
after(() => {
  directory.remove()
})

/** A path that does not exist yet. */
function place(): string {
  return join(directory.path, `place-${++counter}`, 'deep')
}

function checkContent(target: string): void {
  assert.deepEqual(readFileSync(join(target, 'lib/library.so')), library)
  assert.deepEqual(readFileSync(join(target, 'share/deep/note')), note)
  for (const path of ['.', 'lib', 'lib/library.so', 'share', 'share/deep']) {
    assert.equal(statSync(join(target, path)).mode & 0o777, 0o755, path)
  }
  assert.equal(statSync(join(target, 'share/deep/note')).mode & 0o777, 0o644)
}

function checkRefused(candidates: string[], ...parts: RegExp[]): void {
  assert.throws(
    () => unpack(archive, content, candidates),
    (error) => {
      assert(error instanceof LedgerError)
      assert.equal(error.code, 'CONFIG_INVALID')
      for (const part of [/^--cache-dir \(CACHE_DIR\)/, ...parts]) assert.match(error.message, part)
      return true
    },
  )
}

test('an archive is unpacked once, readable by every user whatever the umask', () => {
  const cache = place()
  const umask = process.umask(0o077)
  try {
    checkContent(unpack(archive, content, [cache]))
  } finally {
    process.umask(umask)
  }
  const target = unpack(archive, content, [cache])
  const before = statSync(join(target, 'lib/library.so')).ino
  assert.equal(unpack(archive, Buffer.alloc(0), [cache]), target)
  assert.equal(statSync(join(target, 'lib/library.so')).ino, before)
  assert.deepEqual(readdirSync(cache), [`part-${archive.hash.slice(0, 32)}`])
})

test('another content has another name, and both stay', () => {
  const cache = place()
  const other = { ...archive, hash: 'cd'.repeat(32) }
  assert.notEqual(unpack(archive, content, [cache]), unpack(other, content, [cache]))
  assert.equal(readdirSync(cache).length, 2)
})

test('what lost a part of itself is put there again', () => {
  const cache = place()
  const target = unpack(archive, content, [cache])
  truncateSync(join(target, 'lib/library.so'), 5)
  checkContent(unpack(archive, content, [cache]))
  assert.equal(readdirSync(cache).length, 1)
})

test('what a killed process has left half written is never used, and is removed when it is old', () => {
  const cache = place()
  mkdirSync(cache, { recursive: true })
  chmodSync(cache, 0o755)
  for (const name of ['.new-old', '.new-young']) {
    mkdirSync(join(cache, name))
    writeFileSync(join(cache, name, 'library.so'), 'half')
  }
  const hourAgo = Date.now() / 1000 - 3600
  utimesSync(join(cache, '.new-old'), hourAgo, hourAgo)
  checkContent(unpack(archive, content, [cache]))
  assert.equal(existsSync(join(cache, '.new-old')), false)
  assert.equal(existsSync(join(cache, '.new-young')), true)
})

test('processes that start at the same moment end with one whole content', async () => {
  const cache = place()
  const input = join(directory.path, 'input.json')
  writeFileSync(input, JSON.stringify({ archive, content: content.toString('base64') }))
  const module = JSON.stringify(new URL('./cache.js', import.meta.url).href)
  const script = `
    import { readFileSync } from 'node:fs'
    import { unpack } from ${module}
    const { archive, content } = JSON.parse(readFileSync(${JSON.stringify(input)}, 'utf8'))
    unpack(archive, Buffer.from(content, 'base64'), [${JSON.stringify(cache)}])`
  const children = Array.from({ length: 6 }, () =>
    spawn(process.execPath, ['--input-type=module', '-e', script], {
      stdio: ['ignore', 'ignore', 'inherit'],
    }),
  )
  const ends = await Promise.all(children.map((child) => once(child, 'exit')))
  for (const end of ends) assert.deepEqual(end, [0, null])
  assert.equal(readdirSync(cache).length, 1)
  checkContent(unpack(archive, content, [cache]))
})

test('a directory that others can write to, or a link, is passed over', () => {
  const [open, link, good] = [place(), place(), place()]
  mkdirSync(open, { recursive: true })
  chmodSync(open, 0o777)
  mkdirSync(join(link, '..'), { recursive: true })
  symlinkSync(directory.path, link)
  assert.equal(unpack(archive, content, [open, link, good]).startsWith(good), true)
  assert.deepEqual(readdirSync(open), [])
  checkRefused([open, link], /can be written to by others/, /is a link/)
})

test('content that others could have changed is not used', () => {
  const cache = place()
  const target = unpack(archive, content, [cache])
  chmodSync(join(target, 'lib/library.so'), 0o777)
  checkRefused([cache], /library\.so can be written to by others/)
})

test('a place that cannot be used is passed over, and the message names each', () => {
  const file = join(directory.path, 'file')
  writeFileSync(file, '')
  const good = place()
  assert.equal(unpack(archive, content, [join(file, 'x'), good]).startsWith(good), true)
  checkRefused([join(file, 'x'), '/proc/none'], /file\/x \(/, /\/proc\/none \(/)
})

const needsRoot = process.getuid?.() === 0 ? {} : { skip: 'these tests do not run as root' }

test('what another user has put there is not used, even by root', needsRoot, () => {
  const [cache, good] = [place(), place()]
  mkdirSync(cache, { recursive: true })
  chmodSync(cache, 0o755)
  chownSync(cache, 65_534, 65_534)
  assert.equal(unpack(archive, content, [cache, good]).startsWith(good), true)
  const target = unpack(archive, content, [good])
  chownSync(join(target, 'lib/library.so'), 65_534, 65_534)
  checkRefused([good], /belongs to another user/)
})
