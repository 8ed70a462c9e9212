import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { readInt64 } from './int64.ts'

const least = -(2n ** 63n)
const greatest = 2n ** 63n - 1n

/** Reads `text` up to its end. Returns how many characters were taken and the value, or -1. */
function read(text: string, end = text.length): { taken: number; value: bigint } | -1 {
  const source = new DataView(new TextEncoder().encode(`7${text}7`).buffer)
  const target = new DataView(new ArrayBuffer(12))
  target.setInt32(0, 0x5a5a5a5a)
  const next = readInt64(source, 1, 1 + end, target, 4)
  assert.equal(target.getInt32(0), 0x5a5a5a5a)
  return next < 0 ? -1 : { taken: next - 1, value: target.getBigInt64(4, true) }
}

function checkExact(value: bigint): void {
  const text = String(value)
  assert.deepEqual(read(text), { taken: text.length, value })
}

test('every int64 is read exactly', () => {
  fc.assert(fc.property(fc.bigInt({ min: least, max: greatest }), checkExact), { numRuns: 1000 })
})

test('integers of every length are read exactly', () => {
  for (let digits = 1; digits <= 19; digits += 1) {
    const power = 10n ** BigInt(digits - 1)
    for (const value of [power, power + 1n, power - 1n, 5n * power, 9n * power + 7n]) {
      if (value > greatest) continue
      checkExact(value)
      checkExact(-value)
    }
  }
})

test('integers around powers of two are read exactly', () => {
  for (let bit = 0n; bit <= 63n; bit += 1n) {
    for (let near = -3n; near <= 3n; near += 1n) {
      for (const value of [2n ** bit + near, -(2n ** bit) + near]) {
        if (value >= least && value <= greatest) checkExact(value)
        else assert.equal(read(String(value)), -1, String(value))
      }
    }
  }
})

test('integers outside of int64 are refused, however long', () => {
  const outside = fc.oneof(
    fc.bigInt({ min: greatest + 1n, max: 2n ** 300n }),
    fc.bigInt({ min: -(2n ** 300n), max: least - 1n }),
    fc.bigInt({ min: greatest + 1n, max: greatest + 1000n }),
  )
  fc.assert(fc.property(outside, (value) => assert.equal(read(String(value)), -1)))
  assert.equal(read('9'.repeat(100_000)), -1)
})

test('minus zero is zero, since as JSON it is', () => {
  assert.deepEqual(read('-0'), { taken: 2, value: 0n })
  assert.deepEqual(read('0'), { taken: 1, value: 0n })
})

test('reading stops at the first character that is no digit', () => {
  assert.deepEqual(read('12}'), { taken: 2, value: 12n })
  assert.deepEqual(read('1.0'), { taken: 1, value: 1n })
  assert.deepEqual(read('1e3'), { taken: 1, value: 1n })
  assert.deepEqual(read('123456789012345678/'), { taken: 18, value: 123456789012345678n })
})

test('a leading zero is the whole integer', () => {
  assert.deepEqual(read('01'), { taken: 1, value: 0n })
  assert.deepEqual(read('-01'), { taken: 2, value: 0n })
  assert.deepEqual(read('00000000000000000000001'), { taken: 1, value: 0n })
})

test('reading never goes past its end', () => {
  for (let end = 1; end <= 19; end += 1) {
    const expected = BigInt('1234567890123456789'.slice(0, end))
    assert.deepEqual(read('1234567890123456789', end), { taken: end, value: expected })
  }
  assert.equal(read('-5', 1), -1)
  assert.equal(read('5', 0), -1)
})

test('what does not begin with a digit is no integer', () => {
  for (const text of ['', '-', '--1', '+1', ' 1', '.5', 'null', '"1"', '-a', '\0']) {
    assert.equal(read(text), -1, text)
  }
})
