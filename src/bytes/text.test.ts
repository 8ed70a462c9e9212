import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { formatUuid } from './uuid.ts'
import { writeInt64, writePadded, writeUuid } from './text.ts'

const target = Buffer.alloc(64, 0x78)

function int64(value: bigint): string {
  const source = new DataView(new ArrayBuffer(8))
  source.setBigInt64(0, value)
  return target.toString('latin1', 3, writeInt64(target, 3, source, 0))
}

test('every int64 is written as its decimal digits', () => {
  const edges = [0n, 1n, 9n, 10n, 10n ** 9n - 1n, 10n ** 9n, 2n ** 31n, 2n ** 53n, 2n ** 63n - 1n]
  for (const value of edges.flatMap((one) => [one, one + 1n, one - 1n, -one, -one - 1n])) {
    const exact = BigInt.asIntN(64, value)
    assert.equal(int64(exact), String(exact))
  }
  const any = fc.oneof(
    fc.bigInt(-(2n ** 63n), 2n ** 63n - 1n),
    fc.bigInt(-(10n ** 12n), 10n ** 12n),
  )
  fc.assert(fc.property(any, (value) => assert.equal(int64(value), String(value))))
})

test('every UUID is written as formatUuid does', () => {
  const any = fc.uint8Array({ minLength: 16, maxLength: 16 })
  fc.assert(
    fc.property(any, (bytes) => {
      const end = writeUuid(target, 1, bytes, 0)
      assert.equal(target.toString('latin1', 1, end), formatUuid(bytes))
    }),
  )
})

test('digits are padded with zeros', () => {
  assert.equal(target.toString('latin1', 0, writePadded(target, 0, 7, 3)), '007')
  assert.equal(target.toString('latin1', 0, writePadded(target, 0, 999, 3)), '999')
})
