import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { Bodies } from '../load/bodies.mjs'
import { Checker } from './checker.mjs'

/** Three requests of ten items, all acknowledged unless told otherwise. */
function scene({ statuses = [202, 202, 202], ...options } = {}) {
  const seed = randomBytes(16).toString('hex')
  const bodies = new Bodies({ seed, items: 10, accounts: 20, ...options })
  const sent = statuses.map((status) => {
    const { number, body } = bodies.next()
    const items = JSON.parse(body.toString())
    if (status !== undefined) bodies.requests.answer(number, status)
    return items
  })
  return { bodies, rows: sent.flat() }
}

function bytesOf({ id, account_id: accountId, amount }) {
  const bytes = Buffer.alloc(40)
  bytes.write(accountId.replaceAll('-', ''), 0, 'hex')
  bytes.write(id.replaceAll('-', ''), 16, 'hex')
  bytes.writeBigInt64BE(BigInt(amount), 32)
  return bytes
}

function check({ bodies, rows, conflicts = [], probes, exclusive }) {
  const checker = new Checker({ loads: [bodies], probes, exclusive })
  for (const row of rows) checker.row(bytesOf(row), 0, 16, 32)
  for (const row of conflicts) checker.conflict(bytesOf(row), 0, 16, 32)
  return checker.finish()
}

test('rows exactly as acknowledged pass', () => {
  const { ok, rows, expected, problems } = check(scene())
  assert.deepEqual(
    { ok, rows, expected, problems },
    { ok: true, rows: 30, expected: 30, problems: [] },
  )
})

test('a missing row is noticed', () => {
  const { bodies, rows } = scene()
  const verdict = check({ bodies, rows: rows.toSpliced(13, 1) })
  assert.equal(verdict.ok, false)
  assert.equal(verdict.missing, 1)
  assert.match(verdict.problems[0], /item 3 of request 1: acknowledged, but not in the ledger/)
})

test('a doubled row is noticed', () => {
  const { bodies, rows } = scene()
  const verdict = check({ bodies, rows: [...rows, rows[4]] })
  assert.equal(verdict.ok, false)
  assert.equal(verdict.doubled, 1)
})

test('a wrong amount is noticed, and one beyond 2^53 too', () => {
  for (const amount of [1, '-9223372036854775808']) {
    const { bodies, rows } = scene()
    const verdict = check({ bodies, rows: rows.with(4, { ...rows[4], amount }) })
    assert.equal(verdict.ok, false)
    assert.equal(verdict.wrong, 1)
  }
})

test('a row on another account is noticed', () => {
  const { bodies, rows } = scene()
  const other = rows.find((row) => row.account_id !== rows[0].account_id)
  const verdict = check({
    bodies,
    rows: rows.with(0, { ...rows[0], account_id: other.account_id }),
  })
  assert.equal(verdict.wrong, 1)
})

test('a row with another time in its id is one that nobody sent', () => {
  const { bodies, rows } = scene()
  const id = rows[0].id.replace(/^......../, '00000000')
  assert.equal(check({ bodies, rows: rows.with(0, { ...rows[0], id }) }).invented, 1)
})

test('a request without an answer may be there whole, in part or not at all', () => {
  for (const present of [0, 3, 10]) {
    const { bodies, rows } = scene({ statuses: [202, undefined, 202] })
    const verdict = check({ bodies, rows: [...rows.slice(0, 10 + present), ...rows.slice(20)] })
    assert.equal(verdict.ok, true, verdict.problems.join())
    assert.equal(verdict.expected, 20)
  }
})

test('a 503 promises nothing, a 400 that nothing was taken', () => {
  assert.equal(check(scene({ statuses: [202, 503] })).ok, true)
  const verdict = check(scene({ statuses: [202, 400] }))
  assert.equal(verdict.ok, false)
  assert.equal(verdict.invented, 10)
})

test('rows of others are an error unless the ledger is shared', () => {
  const { bodies, rows } = scene()
  const foreign = { ...rows[0], id: '01932c07-aaaa-7000-8000-000000000001' }
  assert.equal(check({ bodies, rows: [...rows, foreign] }).ok, false)
  const shared = check({ bodies, rows: [...rows, foreign], exclusive: false })
  assert.deepEqual([shared.ok, shared.foreign], [true, 1])
})

test('a probe is looked for like any row', () => {
  const { bodies, rows } = scene()
  const probe = {
    id: '01932c07-aaaa-7000-8000-000000000001',
    account_id: rows[0].account_id,
    amount: 1,
  }
  const probes = () => {
    const accountHex = probe.account_id.replaceAll('-', '')
    return new Map([[probe.id.replaceAll('-', ''), { accountHex, amount: 1, acknowledged: true }]])
  }
  assert.equal(check({ bodies, rows: [...rows, probe], probes: probes() }).ok, true)
  assert.equal(check({ bodies, rows, probes: probes() }).missing, 1)
  assert.equal(check({ bodies, rows: [...rows, probe, probe], probes: probes() }).doubled, 1)
})

/** Every template twice, with a tenth of the items of the second time repeated. */
function repeated(options = {}) {
  const seed = randomBytes(16).toString('hex')
  const bodies = new Bodies({ seed, items: 1000, accounts: 20, repeats: 10, ...options })
  const all = []
  for (let i = 0; i < bodies.templates.length * 2; i++) {
    const { number, body } = bodies.next()
    const items = JSON.parse(body.toString())
    items.forEach((item, index) => all.push({ ...item, isRepeat: bodies.isRepeat(number, index) }))
    bodies.requests.answer(number, 202)
  }
  return { bodies, all }
}

test('repeats count once', () => {
  const { bodies, all } = repeated()
  const once = all.filter(({ isRepeat }) => !isRepeat)
  assert.ok(once.length < all.length)
  assert.equal(check({ bodies, rows: once }).ok, true)
  assert.equal(check({ bodies, rows: all }).ok, false)
})

test('a conflict must be recorded, with the amount that was refused', () => {
  const { bodies, all } = repeated({ conflicts: 10 })
  const rows = all.filter(({ isRepeat }) => !isRepeat)
  const first = new Map(rows.map((row) => [row.id, row.amount]))
  const conflicts = all.filter((row) => row.isRepeat && row.amount !== first.get(row.id))
  assert.ok(conflicts.length > 0)
  assert.equal(check({ bodies, rows, conflicts }).ok, true)
  assert.equal(check({ bodies, rows, conflicts: conflicts.slice(1) }).missingConflicts, 1)
  const wrong = conflicts.with(0, { ...conflicts[0], amount: 5 })
  assert.equal(check({ bodies, rows, conflicts: wrong }).wrongConflicts, 1)
})

test('accounts add up to what their rows add up to', () => {
  const { bodies, rows } = scene()
  const checker = new Checker({ loads: [bodies] })
  for (const row of rows) checker.row(bytesOf(row), 0, 16, 32)
  checker.finish()
  const sum = checker.expectedAccounts().reduce((total, account) => total + account.sum, 0)
  assert.equal(
    sum,
    rows.reduce((total, { amount }) => total + amount, 0),
  )
})
