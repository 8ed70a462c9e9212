import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { requestItemsMax } from '../limits.ts'
import { balanceFault } from './balance.ts'
import { RequestBatch, type RequestFault } from './batch.ts'
import { parseJson } from './parse-json.ts'

interface Item {
  id: number
  account: number
  amount: bigint
}

const [least, most] = [-(2n ** 63n), 2n ** 63n - 1n]

function uuid(number: number): string {
  return `00000000-0000-4000-8000-${number.toString(16).padStart(12, '0')}`
}

function faultOf(items: readonly Item[]): RequestFault | undefined {
  const batch = new RequestBatch()
  const body = items.map(
    ({ id, account, amount }) =>
      `{"id":"${uuid(id)}","account_id":"${uuid(account)}","amount":"${amount}"}`,
  )
  assert.equal(parseJson(Buffer.from(`[${body.join()}]`), batch), undefined)
  return balanceFault(batch)
}

/** Each on an account of its own, so that none repeats another. */
function items(...legs: readonly (readonly [id: number, amount: bigint])[]): Item[] {
  return legs.map(([id, amount], account) => ({ id, account, amount }))
}

test('the id that does not balance is named, with its sum and its first item', () => {
  const fault = faultOf(items([1, 5n], [2, 7n], [1, -5n], [2, -3n]))
  assert.deepEqual([fault?.id, fault?.sum, fault?.index], [uuid(2), '4', 1])
  assert.equal(faultOf(items([1, 5n], [2, 4n], [1, -5n], [2, -4n], [3, 0n])), undefined)
})

test('of several that do not balance, the one that comes first is named', () => {
  const fault = faultOf(items([1, 0n], [9, 1n], [2, 1n]))
  assert.deepEqual([fault?.id, fault?.index], [uuid(9), 1])
})

test('sums beyond int64 are exact, and none is taken for zero by its low bits', () => {
  const large = Array.from({ length: requestItemsMax }, () => [1, most] as const)
  assert.equal(faultOf(items(...large))?.sum, String(5000n * most))
  const small = Array.from({ length: requestItemsMax }, () => [1, least] as const)
  assert.equal(faultOf(items(...small))?.sum, String(5000n * least))
  assert.equal(faultOf(items([1, least], [1, least]))?.sum, String(-(2n ** 64n)))
  assert.equal(faultOf(items([1, most], [1, least], [1, 1n])), undefined)
  assert.equal(faultOf(items([1, 2n ** 32n], [1, -1n]))?.sum, String(2n ** 32n - 1n))
})

test('an item that comes twice is one entry, and counts once', () => {
  const [debit, credit] = items([1, -5n], [1, 5n])
  assert.equal(faultOf([debit, credit, credit, debit, credit]), undefined)
  assert.equal(faultOf([debit, debit])?.sum, '-5')
})

test('it finds what a sum by BigInt finds', () => {
  const amount = fc.oneof(fc.bigInt({ min: least, max: most }), fc.bigInt(-3n, 3n))
  const leg = fc.tuple(fc.nat(4), amount)
  fc.assert(
    fc.property(fc.array(leg, { minLength: 1, maxLength: 30 }), fc.boolean(), (legs, close) => {
      const sums = new Map<number, bigint>()
      for (const [id, value] of legs) sums.set(id, (sums.get(id) ?? 0n) + value)
      const inRange = (value: bigint): boolean => value >= least && value <= most
      if (close) {
        for (const [id, sum] of [...sums].filter(([, one]) => inRange(-one))) {
          legs.push([id, -sum])
          sums.set(id, 0n)
        }
      }
      const first = legs.findIndex(([id]) => sums.get(id) !== 0n)
      const fault = faultOf(items(...legs))
      assert.equal(fault?.index, first < 0 ? undefined : first)
      const id = legs[first]?.[0] ?? -1
      assert.equal(fault?.sum, first < 0 ? undefined : String(sums.get(id)))
    }),
  )
})
