import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { ChangesCursors } from './changes-cursor.ts'

const cursors = new ChangesCursors('this ledger')
const now = (Date.now() - Date.UTC(2000, 0, 1)) * 1000

test('a cursor comes back as it was, whatever the moments', () => {
  const moment = fc.oneof(
    fc.constant(-Infinity),
    fc.integer({ min: -1e15, max: 2 ** 53 }),
    fc.integer({ min: now - 1e7, max: now }),
    fc.integer({ min: 1, max: 1000 }).map((times) => times * 2 ** 53),
  )
  const partition = fc.integer({ min: 0, max: 127 })
  fc.assert(
    fc.property(fc.array(fc.tuple(partition, moment), { minLength: 1 }), (pairs) => {
      const moments = new Map(pairs)
      const decoded = cursors.decode(cursors.encode(moments))
      assert(decoded.kind === 'cursor')
      assert.deepEqual([...decoded.moments].sort(), [...moments].sort())
    }),
  )
})

test('all partitions within a second take some 550 characters', () => {
  const moments = new Map(Array.from({ length: 128 }, (_, p) => [p, now - p * 7000] as const))
  assert(cursors.encode(moments).length < 560)
})

test('any other text is no cursor, and one of another ledger is told apart', () => {
  const text = cursors.encode(new Map([[3, now]]))
  const mangled = [
    '',
    'x',
    text.slice(0, -1),
    text.slice(0, -4),
    `${text}AAAA`,
    `${text}=`,
    `B${text.slice(1)}`,
    `Aw${text.slice(2)}`,
  ]
  for (const each of mangled) assert.equal(cursors.decode(each).kind, 'malformed', each)
  assert.equal(new ChangesCursors('another').decode(text).kind, 'foreign')
})
