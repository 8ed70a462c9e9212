import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { test } from 'node:test'

const script = join(import.meta.dirname, '../../../scripts/schemathesis.mjs')

test('Schemathesis finds no request that is answered other than the document says', () => {
  const { status, stdout, stderr } = spawnSync(process.execPath, [script], { encoding: 'utf8' })
  assert.equal(status, 0, `${stdout}\n${stderr}`)
  // Warnings are of what it could not reach: quarantined records, receipts that somebody else made.
  assert.match(stdout, /\b([1-9]\d*) generated, \1 passed\n/)
})
