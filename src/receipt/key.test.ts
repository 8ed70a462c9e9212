import assert from 'node:assert/strict'
import { mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { keyFoundIn, keyFromText, keyInDirectory } from './key.ts'

test('a key is made once, whoever asks first, and only its owner may read it', async (t) => {
  const directory = await mkdtemp(join(tmpdir(), 'ledger-key-'))
  t.after(() => rm(directory, { recursive: true }))
  const inside = join(directory, 'data')
  const keys = await Promise.all([1, 2, 3, 4].map(() => keyInDirectory(inside)))
  for (const key of keys) assert.deepEqual(key, keys[0])
  assert.notDeepEqual(await keyInDirectory(directory), keys[0])
  assert.deepEqual(await readdir(inside), ['receipt.key'])
  const { mode, size } = await stat(join(inside, 'receipt.key'))
  assert.deepEqual([mode & 0o777, size], [0o600, 32])
})

test('whoever only reads receipts finds the key that is there, and makes none', async (t) => {
  const directory = await mkdtemp(join(tmpdir(), 'ledger-key-'))
  t.after(() => rm(directory, { recursive: true }))
  assert.equal(await keyFoundIn(directory), undefined)
  assert.equal(await keyFoundIn(join(directory, 'none')), undefined)
  assert.deepEqual(await readdir(directory), [])
  const key = await keyInDirectory(directory)
  assert.deepEqual(await keyFoundIn(directory), key)
})

test('a key that was damaged is not used', async (t) => {
  const directory = await mkdtemp(join(tmpdir(), 'ledger-key-'))
  t.after(() => rm(directory, { recursive: true }))
  await writeFile(join(directory, 'receipt.key'), 'short')
  await assert.rejects(keyInDirectory(directory), { code: 'CONFIG_INVALID', message: /found 5/ })
})

test('the same text is the same key everywhere', () => {
  assert.deepEqual(keyFromText('a'), keyFromText('a'))
  assert.notDeepEqual(keyFromText('a'), keyFromText('b'))
})
