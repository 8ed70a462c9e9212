import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { hashUuid } from './hash64.ts'

// A second reading of the algorithm, from its published form: for a key of any length and any seed,
// slow and plain. What PostgreSQL itself says is asked in record/partition.pg.test.ts.

const u32 = (value: number) => value >>> 0
const rot = (value: number, bits: number) => u32((value << bits) | (value >>> (32 - bits)))

/** Each step of lookup3 is: subtract or xor one lane with another, rotated. Lanes are a, b, c. */
function mix(lanes: number[]): void {
  const turns = [4, 6, 8, 16, 19, 4]
  for (const [step, bits] of turns.entries()) {
    const [x, y, z] = [step % 3, (step + 1) % 3, (step + 2) % 3]
    lanes[x] = u32(u32(lanes[x] - lanes[z]) ^ rot(lanes[z], bits))
    lanes[z] = u32(lanes[z] + lanes[y])
  }
}

function finish(lanes: number[]): void {
  const turns = [14, 11, 25, 16, 4, 14, 24]
  for (const [step, bits] of turns.entries()) {
    const [x, y] = [(step + 2) % 3, (step + 1) % 3]
    lanes[x] = u32(u32(lanes[x] ^ lanes[y]) - rot(lanes[y], bits))
  }
}

function hashBytesExtended(key: Buffer, seed: bigint): bigint {
  const start = u32(0x9e3779b9 + key.length + 3923095)
  const lanes = [start, start, start]
  lanes[0] = u32(lanes[0] + Number(seed >> 32n))
  lanes[1] = u32(lanes[1] + Number(seed & 0xffffffffn))
  mix(lanes)
  const whole = key.length - (key.length % 12)
  for (let at = 0; at < whole; at += 4) {
    const lane = (at / 4) % 3
    lanes[lane] = u32(lanes[lane] + key.readUInt32LE(at))
    if (lane === 2) mix(lanes)
  }
  for (let at = whole; at < key.length; at += 4) {
    const lane = (at - whole) / 4
    lanes[lane] = u32(lanes[lane] + key.readUInt32LE(at))
  }
  finish(lanes)
  return (BigInt(lanes[1]) << 32n) | BigInt(lanes[2])
}

test('the hash is that of lookup3 under the seed of hash partitioning', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 16, maxLength: 16 }), (uuid) => {
      const key = Buffer.from(uuid)
      const hash = hashBytesExtended(key, 0x7a5b22367996dcfdn) + 0x49a0f4dd15e5a8e3n
      const words = [0, 4, 8, 12].map((at) => key.readInt32LE(at)) as [
        number,
        number,
        number,
        number,
      ]
      assert.equal(hashUuid(...words) >>> 0, Number(hash & 0xffffffffn))
    }),
  )
})
