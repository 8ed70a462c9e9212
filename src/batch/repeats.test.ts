import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { requestItemsMax } from '../limits.ts'
import { encodeBatch, type Entry } from '../record/encode.ts'
import type { RequestFault } from './batch.ts'
import { Repeats } from './repeats.ts'

function entryOf(account: number, id: number, amount: number): Entry {
  return {
    id: new Uint8Array(16).fill(id, 12),
    accountId: new Uint8Array(16).fill(account, 0, 4),
    amount: BigInt(amount),
  }
}

/** Adds the entries of one request; the first fault, if any. */
function addAll(repeats: Repeats, entries: readonly Entry[]): RequestFault | undefined {
  const view = new DataView(encodeBatch(entries).buffer)
  repeats.begin()
  for (let index = 0; index < entries.length; index += 1) {
    const fault = repeats.add(view, index)
    if (fault !== undefined) return fault
  }
  return undefined
}

test('in every request the first item that contradicts an earlier one is found', () => {
  const repeats = new Repeats()
  const numbers = fc.tuple(
    fc.nat(2),
    fc.nat(2),
    fc.nat(9).map((dice) => (dice === 0 ? 1 : 0)),
  )
  fc.assert(
    fc.property(fc.array(numbers, { maxLength: 30 }), (items) => {
      const amounts = new Map<string, number>()
      const contradiction = items.findIndex(([account, id, amount]) => {
        const identity = `${account} ${id}`
        if (!amounts.has(identity)) amounts.set(identity, amount)
        return amounts.get(identity) !== amount
      })
      const fault = addAll(
        repeats,
        items.map(([account, id, amount]) => entryOf(account, id, amount)),
      )
      assert.equal(fault?.index ?? -1, contradiction)
    }),
    { numRuns: 300 },
  )
})

test('a fault names both items and both amounts', () => {
  const entries = [entryOf(1, 1, 5), entryOf(1, 2, 7), entryOf(1, 1, 5), entryOf(1, 2, -8)]
  assert.deepEqual(addAll(new Repeats(), entries), {
    index: 3,
    field: 'amount',
    expected: '7, the amount of the same account_id and id in item 1',
    found: '-8',
  })
})

test('identities that differ in a single bit are told apart', () => {
  const entries: Entry[] = []
  for (let bit = 0; bit < 256; bit += 1) {
    const entry = entryOf(0, 0, bit)
    const half = bit < 128 ? entry.id : entry.accountId
    half[(bit % 128) >> 3] = 1 << (bit & 7)
    entries.push(entry)
  }
  assert.equal(addAll(new Repeats(), entries), undefined)
})

test('a full request is looked through to its last item', () => {
  const entries = Array.from({ length: requestItemsMax }, (_, index) => {
    const entry = entryOf(1, 0, index)
    new DataView(entry.id.buffer).setUint32(0, index)
    return entry
  })
  const repeats = new Repeats()
  assert.equal(addAll(repeats, entries), undefined)
  entries[requestItemsMax - 1].id = entries[0].id
  assert.equal(addAll(repeats, entries)?.index, requestItemsMax - 1)
})

test('a request is never compared with one before it, however many there were', () => {
  const repeats = new Repeats()
  assert.equal(addAll(repeats, [entryOf(1, 1, 5)]), undefined)
  assert.equal(addAll(repeats, [entryOf(1, 1, 6)]), undefined)
  // The generations have begun again when the one of the first request comes back.
  for (let request = 2; request < 2 ** 19 - 1; request += 1) repeats.begin()
  for (let request = 0; request < 3; request += 1) {
    assert.equal(addAll(repeats, [entryOf(1, 1, 7 + request)]), undefined)
  }
})
