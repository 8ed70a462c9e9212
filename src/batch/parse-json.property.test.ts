import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { Entry } from '../record/encode.ts'
import { encodeBatch } from '../record/encode.ts'
import { anyEntry } from '../testing/encodings.ts'
import { readParsed } from '../testing/fuzz/json-parsed.ts'
import { RequestBatch } from './batch.ts'
import { parseJson } from './parse-json.ts'

const into = new RequestBatch()

/** Entries the scanner makes of a body, as hexadecimal; `undefined` when it refuses it. */
function scan(body: Uint8Array): string | undefined {
  const fault = parseJson(body, into)
  if (fault === undefined)
    return Buffer.from(into.entries.subarray(0, into.count * 47)).toString('hex')
  assert.match(fault.found, /^[ -~…]{1,40}$/)
  assert.equal(fault.found.length <= 40, true)
  assert(fault.position === undefined || fault.position <= body.length)
  assert.equal(into.count, 0)
  return undefined
}

/** The same by JSON.parse and a plain check of the schema. */
function reference(body: Uint8Array): string | undefined {
  const entries = readParsed(body)
  return entries && Buffer.from(entries).toString('hex')
}

/** Spells a string as JSON: some of its characters as escapes. */
function spelled(text: string): fc.Arbitrary<string> {
  const plain = fc.constant(`"${text}"`)
  const escaped = fc
    .array(fc.nat(12), { minLength: text.length, maxLength: text.length })
    .map((dice) => {
      const characters = Array.from(text, (character, index) => {
        const code = character.charCodeAt(0).toString(16).padStart(4, '0')
        if (dice[index] === 0) return `\\u${code}`
        return dice[index] === 1 ? `\\u${code.toUpperCase()}` : character
      })
      return `"${characters.join('')}"`
    })
  return fc.oneof({ weight: 4, arbitrary: plain }, escaped)
}

const space = fc.oneof(
  { weight: 8, arbitrary: fc.constant('') },
  fc.array(fc.constantFrom(' ', '\n', '\r', '\t'), { maxLength: 3 }).map((parts) => parts.join('')),
)

function uuidText(bytes: Uint8Array): fc.Arbitrary<string> {
  const hex = Buffer.from(bytes).toString('hex')
  const text = hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-')
  return fc.oneof(fc.constant(text), fc.constant(text.toUpperCase())).chain(spelled)
}

function amountText(amount: bigint): fc.Arbitrary<string> {
  const number = fc.constant(amount === 0n ? '-0' : String(amount))
  return fc.oneof(fc.constant(String(amount)), number, spelled(String(amount)))
}

/** A member or an item between spaces. */
const spaced = (...parts: fc.Arbitrary<string>[]): fc.Arbitrary<string> =>
  fc.tuple(...parts.flatMap((part) => [space, part]), space).map((texts) => texts.join(''))

function itemText(entry: Entry): fc.Arbitrary<string> {
  const colon = fc.constant(':')
  const members = [
    spaced(spelled('id'), colon, uuidText(entry.id)),
    spaced(spelled('account_id'), colon, uuidText(entry.accountId)),
    spaced(spelled('amount'), colon, amountText(entry.amount)),
  ]
  const inOrder = fc.tuple(...members)
  const shuffled = inOrder.chain((all) => fc.shuffledSubarray(all, { minLength: 3 }))
  return fc.oneof(inOrder, shuffled).chain((all) => spaced(fc.constant(`{${all.join(',')}}`)))
}

const smallAmount = fc.integer({ min: -1000, max: 1000 }).map(BigInt)
const entry = fc.oneof(
  anyEntry,
  fc.tuple(anyEntry, smallAmount).map(([each, amount]) => ({ ...each, amount })),
)

const document = fc.array(entry, { minLength: 1, maxLength: 4 }).chain((entries) =>
  fc.tuple(space, fc.tuple(...entries.map(itemText)), space).map(([before, items, after]) => ({
    entries,
    text: `${before}[${items.join(',')}]${after}`,
  })),
)

test('any spelling of a batch is taken, with the very values that were spelled', () => {
  fc.assert(
    fc.property(document, ({ entries, text }) => {
      const expected = Buffer.from(encodeBatch(entries)).toString('hex')
      assert.equal(reference(Buffer.from(text)), expected)
      assert.equal(scan(Buffer.from(text)), expected)
    }),
    { numRuns: 500 },
  )
})

test('a changed body is taken exactly when JSON.parse and the schema take it', () => {
  const piece = fc.oneof(
    fc.constantFrom(...Array.from('{}[]:,"\\- 0123456789.eE+abcfAF\n\t\0\ufeff\x7fé')),
    fc.constantFrom(
      '\\u0069',
      '\\/',
      'null',
      'true',
      '1.0',
      '1e3',
      '01',
      '""',
      '{}',
      '[]',
      '"id":1,',
      ',,',
    ),
    fc.constantFrom('9223372036854775808', '-9223372036854775808', '"-1"', '99999999999999999999'),
  )
  const bytes = fc.oneof(
    { weight: 4, arbitrary: piece.map((text) => Buffer.from(text)) },
    fc.uint8Array({ minLength: 1, maxLength: 2 }),
  )
  const change = fc.record({ at: fc.nat(), removed: fc.nat(2), bytes })
  const outcomes = { taken: 0, refused: 0 }
  fc.assert(
    fc.property(document, fc.array(change, { minLength: 1, maxLength: 2 }), ({ text }, changes) => {
      let body = Buffer.from(text)
      for (const { at, removed, bytes: inserted } of changes) {
        const place = at % (body.length + 1)
        body = Buffer.concat([body.subarray(0, place), inserted, body.subarray(place + removed)])
      }
      const expected = reference(body)
      assert.equal(scan(body), expected, body.toString('latin1'))
      outcomes[expected === undefined ? 'refused' : 'taken'] += 1
    }),
    { numRuns: 3000 },
  )
  // Some 70 of 3000 are taken: both answers must have been seen, not just one.
  assert(outcomes.taken > 10 && outcomes.refused > 10, JSON.stringify(outcomes))
})

test('a body cut anywhere is refused', () => {
  fc.assert(
    fc.property(document, fc.nat(), ({ text }, at) => {
      const body = Buffer.from(text.trimEnd())
      assert.equal(scan(body.subarray(0, at % body.length)), undefined)
    }),
  )
})

test('bytes that were never meant as a batch are refused', () => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.uint8Array(),
        fc.json().map((text) => Buffer.from(text)),
      ),
      (body) => {
        assert.equal(scan(body), reference(body))
      },
    ),
  )
})
