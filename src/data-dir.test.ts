import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'node:test'
import { prepareDataDir } from './data-dir.ts'

test('a data directory is made with its parents, and one that is there is taken as it is', (t) => {
  const root = mkdtempSync(join(tmpdir(), 'ledger-data-'))
  t.after(() => {
    rmSync(root, { recursive: true })
  })
  const path = join(root, 'a', 'b')
  prepareDataDir(path)
  assert.ok(statSync(path).isDirectory())
  prepareDataDir(path)
})

test('a path that cannot be a data directory is refused by the name of its flag', (t) => {
  const root = mkdtempSync(join(tmpdir(), 'ledger-data-'))
  t.after(() => {
    rmSync(root, { recursive: true })
  })
  const file = join(root, 'file')
  writeFileSync(file, '')
  for (const path of [file, join(file, 'below'), '/proc/nope']) {
    assert.throws(() => {
      prepareDataDir(path)
    }, /--data-dir \(DATA_DIR\): expected a directory this user may write to, found \//)
  }
})
