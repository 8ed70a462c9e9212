import assert from 'node:assert/strict'
import test from 'node:test'
import fc from 'fast-check'
import { Ring } from './ring.ts'

test('a full ring takes nothing more until something is released', () => {
  const ring = new Ring(100)
  assert.equal(ring.write(new Uint8Array(50)), 0)
  assert.equal(ring.write(new Uint8Array(50)), 50)
  const end = ring.end
  assert.equal(ring.write(new Uint8Array(1)), -1)
  ring.release(end)
  assert.equal(ring.used, 0)
  assert.equal(ring.write(new Uint8Array(1)), 0)
})

test('a record is never split: what does not fit before the end begins at the start', () => {
  const ring = new Ring(100)
  ring.write(new Uint8Array(40))
  ring.write(new Uint8Array(40))
  ring.release(40)
  assert.equal(ring.write(new Uint8Array(30)), 0)
  assert.equal(ring.used, 40 + 20 + 30)
})

test('a wait ends at the next release, and at wake', async () => {
  const ring = new Ring(10)
  ring.write(new Uint8Array(5))
  const released = ring.waitForRelease()
  ring.release(5)
  await released
  const woken = ring.waitForRelease()
  ring.wake()
  await woken
})

test('no record is overwritten before it is released', () => {
  const lengths = fc.array(fc.integer({ min: 0, max: 50 }), { minLength: 1, maxLength: 200 })
  fc.assert(
    fc.property(lengths, fc.nat(5), (sizes, held) => {
      const ring = new Ring(100)
      const shared = new Uint8Array(ring.shared)
      const waiting: { start: number; bytes: Uint8Array; end: number }[] = []
      const releaseOldest = (): void => {
        const oldest = waiting.shift()
        assert.ok(oldest, 'a record that does not fit leaves something to release')
        const found = shared.slice(oldest.start, oldest.start + oldest.bytes.length)
        assert.deepEqual(found, oldest.bytes)
        ring.release(oldest.end)
      }
      sizes.forEach((size, i) => {
        const bytes = new Uint8Array(size).fill(i)
        let start = ring.write(bytes)
        while (start < 0) {
          releaseOldest()
          start = ring.write(bytes)
        }
        waiting.push({ start, bytes, end: ring.end })
        while (waiting.length > held) releaseOldest()
      })
    }),
  )
})
