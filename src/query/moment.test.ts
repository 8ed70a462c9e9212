import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { HttpRequest, WholeReply } from '../http/http.ts'
import { momentOf } from './moment.ts'
import { Refusal } from './request.ts'

function read(query: string): string | undefined {
  return momentOf({ query: new URLSearchParams(query) } as HttpRequest, 'at')
}

function refused(query: string): { expected: unknown; found: unknown } {
  try {
    read(query)
  } catch (error) {
    assert(error instanceof Refusal)
    const { field, expected, found } = JSON.parse(
      String((error.reply as WholeReply).body),
    ) as Record<string, unknown>
    assert.equal(field, 'at')
    return { expected, found }
  }
  return assert.fail(`taken: ${query}`)
}

test('a point in time is read to the microsecond, whatever its offset', () => {
  for (const [written, meant] of [
    ['2026-11-24T12:00:00Z', '2026-11-24T12:00:00.000000Z'],
    ['2026-11-24t12:00:00.5z', '2026-11-24T12:00:00.500000Z'],
    ['2026-11-24T14:00:00.123456%2B02:00', '2026-11-24T12:00:00.123456Z'],
    ['2026-11-24T01:30:00-10:30', '2026-11-24T12:00:00.000000Z'],
    ['2026-11-24T12:00:00.123456999Z', '2026-11-24T12:00:00.123456Z'],
    ['2024-02-29T23:59:59Z', '2024-02-29T23:59:59.000000Z'],
    ['0001-01-01T00:00:00Z', '0001-01-01T00:00:00.000000Z'],
    ['0099-01-01T00:00:00Z', '0099-01-01T00:00:00.000000Z'],
    ['9999-12-31T23:59:59.999999Z', '9999-12-31T23:59:59.999999Z'],
  ]) {
    assert.equal(read(`at=${written}`), meant)
  }
  assert.equal(read(''), undefined)
})

test('what is no point in time is refused, with what it should have been', () => {
  const noDate = 'a date and time that exist'
  for (const found of ['2026-02-29T00:00:00Z', '2026-13-01T00:00:00Z', '2026-00-01T00:00:00Z']) {
    assert.deepEqual(refused(`at=${found}`), { expected: noDate, found })
  }
  for (const found of ['2026-01-01T24:00:00Z', '2026-01-01T00:60:00Z', '2026-01-01T00:00:61Z']) {
    assert.deepEqual(refused(`at=${found}`), { expected: noDate, found })
  }
  for (const found of ['2026-01-01T00:00:00-24:00', '2026-01-01T00:00:00-00:60']) {
    assert.deepEqual(refused(`at=${found}`), { expected: noDate, found })
  }
  const leap = refused('at=2016-12-31T23:59:60Z')
  assert.equal(leap.expected, 'seconds from 00 to 59: no entry is within a leap second')
  for (const found of ['0000-06-01T00:00:00Z', '9999-12-31T23:59:59-00:01']) {
    assert.deepEqual(refused(`at=${found}`), {
      expected: 'a time in the years 0001 to 9999 UTC',
      found,
    })
  }
  const shape = /^a date and time by RFC 3339/
  for (const found of [
    '',
    'now',
    '2026-11-24',
    '2026-11-24T12:00:00',
    '1764000000000',
    '2026-11-24 12:00:00Z',
  ]) {
    assert.match(String(refused(`at=${found}`).expected), shape)
  }
  assert.match(String(refused('at=20026-11-24T12:00:00Z').expected), shape)
  assert.match(String(refused('at=2026-11-24T12:00:00.1234567890Z').expected), shape)
})

test('an offset whose + was not escaped is explained', () => {
  assert.equal(
    refused('at=2026-11-24T14:00:00+02:00').found,
    '2026-11-24T14:00:00 02:00 (a + in a URL is written %2B)',
  )
})
