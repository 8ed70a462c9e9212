import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseWait } from './wait.ts'

test('a time to wait is whole milliseconds or seconds, up to 30 s', () => {
  const taken = { '0s': 0, '0ms': 0, '250ms': 250, '5s': 5000, '30s': 30_000, '30000ms': 30_000 }
  for (const [text, ms] of Object.entries(taken)) assert.equal(parseWait(text), ms, text)
  const refused = ['', '5', 's', '31s', '30001ms', '-1s', '1.5s', '5 s', '5m', '5S', '1e3ms', '５s']
  for (const text of refused) assert.equal(parseWait(text), undefined, text)
})
