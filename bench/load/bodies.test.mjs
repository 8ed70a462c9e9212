import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Bodies, accountChoices } from './bodies.mjs'
import { randomFrom, uuidText } from './random.mjs'
import { RequestLog, acknowledged, noSource, refused, unanswered } from './requests.mjs'

const seed = '000102030405060708090a0b0c0d0e0f'

function itemsOf({ body }) {
  return JSON.parse(body.toString())
}

test('every id is a UUIDv7 that no other item has, and amounts and accounts stay', () => {
  const bodies = new Bodies({ seed, items: 50, accounts: 100 })
  const ids = new Set()
  const rounds = bodies.templates.length * 2
  const before = Date.now()
  for (let i = 0; i < rounds; i++) {
    const { number, body } = bodies.next()
    const { accounts, amounts } = bodies.templateOf(number)
    for (const [index, item] of itemsOf({ body }).entries()) {
      assert.match(item.id, /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-8[0-9a-f]{3}-[0-9a-f]{12}$/)
      const time = parseInt(item.id.replace('-', '').slice(0, 12), 16)
      assert.ok(time >= before && time <= Date.now())
      ids.add(item.id)
      assert.equal(item.account_id, uuidText(bodies.pool[accounts[index]]))
      assert.equal(item.amount, amounts[index])
    }
  }
  assert.equal(ids.size, rounds * 50)
})

test('two with the same seed send the same accounts and amounts, of another seed other ones', () => {
  const [a, b] = [seed, seed].map((each) => new Bodies({ seed: each, items: 5 }))
  const other = new Bodies({ seed: seed.replace('00', 'ff'), items: 5 })
  assert.deepEqual(a.templates[0].body, b.templates[0].body)
  assert.equal(a.sender, b.sender)
  assert.notDeepEqual(a.templates[0].body, other.templates[0].body)
})

test('a tenth of the items repeat acknowledged ones, id, account and amount', () => {
  const bodies = new Bodies({ seed, items: 100, accounts: 50, repeats: 10 })
  const seen = new Map()
  let repeated = 0
  let sent = 0
  for (let i = 0; i < bodies.templates.length * 12; i++) {
    const { number, body } = bodies.next()
    const hasSource = bodies.requests.sourceOf(number) !== noSource
    let own = 0
    for (const [index, { id, ...rest }] of itemsOf({ body }).entries()) {
      const earlier = seen.get(id)
      assert.equal(earlier !== undefined, bodies.isRepeat(number, index))
      if (earlier) assert.deepEqual(rest, earlier)
      if (earlier) repeated++
      else own++
      seen.set(id, rest)
    }
    if (hasSource) sent += 100
    assert.equal(own, bodies.newItems(number))
    bodies.requests.answer(number, 202)
  }
  assert.equal(repeated, sent / 10)
  assert.ok(sent > 0)
})

test('what was not acknowledged is never repeated', () => {
  const bodies = new Bodies({ seed, items: 100, repeats: 10 })
  for (let i = 0; i < bodies.templates.length * 3; i++) {
    const { number } = bodies.next()
    bodies.requests.answer(number, 503)
    assert.equal(bodies.requests.sourceOf(number), noSource)
  }
})

test('a conflict has another amount in that request only', () => {
  const bodies = new Bodies({ seed, items: 1000, repeats: 10, conflicts: 10 })
  let conflicts = 0
  for (let i = 0; i < bodies.templates.length * 4; i++) {
    const { number, body } = bodies.next()
    const { amounts } = bodies.templateOf(number)
    for (const [index, { amount }] of itemsOf({ body }).entries()) {
      const isConflict = bodies.isRepeat(number, index) && bodies.isConflict(index)
      if (isConflict) conflicts++
      const expected = isConflict ? bodies.conflictingAmount(amounts[index]) : amounts[index]
      assert.equal(amount, expected)
      assert.equal(amount === amounts[index], !isConflict)
    }
    bodies.requests.answer(number, 202)
  }
  assert.ok(conflicts > 0)
})

test("by Zipf's law the first account has about one in ln(n) of all, uniformly one in n", () => {
  const random = randomFrom(seed)
  const shareOfFirst = (choice) => {
    let first = 0
    for (let i = 0; i < 100_000; i++) if (accountChoices[choice](1000, random) === 0) first++
    return first / 100_000
  }
  const zipf = shareOfFirst('zipf')
  assert.ok(Math.abs(zipf - Math.log(2) / Math.log(1001)) < 0.01, `${zipf}`)
  assert.ok(Math.abs(shareOfFirst('uniform') - 0.001) < 0.001)
  assert.equal(shareOfFirst('one'), 1)
})

test('a request log says after a file what it said before', (t) => {
  const log = new RequestLog()
  for (let i = 0; i < 3000; i++) log.begin(1.7e12 + i, i === 7 ? 3 : noSource)
  log.answer(1, 202)
  log.answer(2, 400)
  log.answer(3, 503)
  const path = `${process.env.TMPDIR ?? '/tmp'}/requests-${process.pid}.test`
  log.save(path)
  t.after(async () => (await import('node:fs')).rmSync(path))
  const read = RequestLog.load(path)
  assert.equal(read.count, 3000)
  assert.deepEqual(
    [0, 1, 2, 3].map((number) => read.stateOf(number)),
    [unanswered, acknowledged, refused, unanswered],
  )
  assert.equal(read.timeOf(2999), 1.7e12 + 2999)
  assert.deepEqual([read.sourceOf(7), read.sourceOf(8)], [3, noSource])
})
