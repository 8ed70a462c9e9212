import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { formatUuid, parseUuid, readUuid } from './uuid.ts'

const text = '0190b6e5-f00d-7abc-8def-0123456789ab'
const bytes = Buffer.from('0190b6e5f00d7abc8def0123456789ab', 'hex')

/**
 * Reads `source` as a UUID that begins in the middle of other bytes; `undefined` when it is
 * refused.
 */
function read(source: Uint8Array): string | undefined {
  const padded = new Uint8Array(source.length + 5).fill(0x61)
  padded.set(source, 3)
  const target = new Uint8Array(20).fill(0xee)
  const taken = readUuid(new DataView(padded.buffer), 3, new DataView(target.buffer), 2)
  assert.deepEqual([...target.subarray(0, 2), ...target.subarray(18)], [0xee, 0xee, 0xee, 0xee])
  return taken ? Buffer.from(target.subarray(2, 18)).toString('hex') : undefined
}

test('the bytes of a UUID are its digits in order', () => {
  assert.deepEqual(parseUuid(text), Uint8Array.from(bytes))
  assert.equal(formatUuid(bytes), text)
  assert.equal(formatUuid(Buffer.concat([Buffer.alloc(7), bytes]), 7), text)
})

test('upper and lower case are the same UUID', () => {
  assert.deepEqual(parseUuid(text.toUpperCase()), Uint8Array.from(bytes))
  assert.equal(read(Buffer.from(text.toUpperCase())), bytes.toString('hex'))
})

test('every UUID survives text and back, in any mixture of case', () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ minLength: 16, maxLength: 16 }),
      fc.infiniteStream(fc.boolean()),
      (id, up) => {
        const mixed = formatUuid(id).replace(/[a-f]/g, (c) =>
          up.next().value === true ? c.toUpperCase() : c,
        )
        assert.deepEqual(parseUuid(mixed), id)
        assert.equal(read(Buffer.from(mixed)), Buffer.from(id).toString('hex'))
      },
    ),
  )
})

test('a byte in any place is taken only if it is a digit or the dash of that place', () => {
  for (let place = 0; place < text.length; place += 1) {
    for (let byte = 0; byte < 256; byte += 1) {
      const changed = Buffer.from(text)
      changed[place] = byte
      const accepted = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(
        changed.toString('latin1'),
      )
      const expected = changed.toString('latin1').replaceAll('-', '').toLowerCase()
      assert.equal(read(changed), accepted ? expected : undefined, `${byte} at ${place}`)
    }
  }
})

test('text of another length, in braces or beyond ASCII is no UUID', () => {
  const digits = bytes.toString('hex')
  for (const other of ['', digits, `{${text}}`, ` ${text}`, text.slice(1), `${text}0`]) {
    assert.equal(parseUuid(other), undefined, other)
  }
  // Its low byte is that of the digit 0.
  assert.equal(parseUuid(`\u0130${text.slice(1)}`), undefined)
})
