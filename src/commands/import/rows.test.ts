import assert from 'node:assert/strict'
import { test } from 'node:test'
import { lineId } from './ids.ts'
import type { Line } from './lines.ts'
import { columnsOf, csvRow, ndjsonRow, type Columns } from './rows.ts'

const id = '01932c07-aaaa-7000-8000-000000000001'
const account = '7d7b4bd1-1f4f-4c5b-8a3e-0d6f7f0a1b2c'
const line = (text: string): Line => ({ number: 7, text, isTooLong: false })
const columns: Columns = ['id', 'account_id', 'amount']

function csv(text: string, header = columns): unknown {
  const { line: _, ...row } = csvRow(line(text), header) as unknown as Record<string, unknown>
  return row
}

function ndjson(text: string, ignoresUnknown = false): unknown {
  const { line: _, ...row } = ndjsonRow(line(text), ignoresUnknown) as unknown as Record<
    string,
    unknown
  >
  return row
}

const row = (amount: bigint, withId: string | undefined = id): unknown => ({
  id: withId,
  account_id: account,
  amount,
})

test('CSV fields are read with and without quotes, amounts exactly', () => {
  assert.deepEqual(csv(`${id},${account},-9223372036854775808`), row(-(2n ** 63n)))
  assert.deepEqual(csv(`"${id}" , "${account}",9223372036854775807`), row(2n ** 63n - 1n))
  assert.deepEqual(csv(`5,${account}`, ['amount', 'account_id']), {
    ...(row(5n) as object),
    id: undefined,
  })
  assert.deepEqual(csv(`,${account},5`), { ...(row(5n) as object), id: undefined })
  assert.deepEqual(csv(`${id},${account},5,"a ""b"", c"`, [...columns, null]), row(5n))
})

test('a CSV line that is no transaction says what was expected and what was found', () => {
  const int64 = 'an integer from -9223372036854775808 to 9223372036854775807'
  const quotes = 'quotes around whole fields, closed on their line'
  const faults: [string, object][] = [
    [`${id},${account}`, { expected: '3 fields', found: '2' }],
    [`x,${account},5`, { field: 'id', expected: 'a UUID', found: 'x' }],
    [`${id},,5`, { field: 'account_id', expected: 'a UUID', found: 'nothing' }],
    ...['1.5', '1e3', '+5', '007', '', '9223372036854775808', '0x10', '1,0'.slice(0, 1) + ' 0'].map(
      (found): [string, object] => [
        `${id},${account},${found}`,
        { field: 'amount', expected: int64, found: found === '' ? 'nothing' : found },
      ],
    ),
    [`"${id},${account},5`, { expected: quotes, found: `"${id},${account},5` }],
    [`${id}"a",${account},5`, { expected: quotes, found: `${id}"a",${account},5` }],
  ]
  for (const [text, fault] of faults) assert.deepEqual(csv(text), fault, text)
})

test('a header names the three columns, in any order, and no other unless that is allowed', () => {
  assert.deepEqual(columnsOf('\uFEFFamount,"id",account_id', false), ['amount', 'id', 'account_id'])
  assert.deepEqual(columnsOf('account_id,amount', false), ['account_id', 'amount'])
  assert.deepEqual(columnsOf('account_id,note,amount', true), ['account_id', null, 'amount'])
  for (const header of ['account_id,note,amount', 'amount', 'account_id,amount,amount', '']) {
    assert('expected' in columnsOf(header, false), header)
  }
})

test('NDJSON members are read in any order, amounts exactly, as numbers or as strings', () => {
  const members = `"account_id":"${account}","id":"${id}"`
  assert.deepEqual(ndjson(`{${members},"amount":9007199254740993}`), row(9007199254740993n))
  assert.deepEqual(ndjson(` { "amount" : "-5" , ${members} } `), row(-5n))
  assert.deepEqual(ndjson(`{"account_id":"${account.replace('7', '\\u0037')}","amount":5}`), {
    ...(row(5n) as object),
    id: undefined,
  })
  assert.deepEqual(ndjson(`{${members},"amount":5,"note":"a \\"b\\", {c}"}`, true), row(5n))
})

test('an NDJSON line that is no transaction says what was expected and what was found', () => {
  const members = `"account_id":"${account}","id":"${id}"`
  const fieldOf = (text: string): unknown => (ndjson(text) as { field?: string }).field
  assert.equal(fieldOf(`{${members},"amount":5.0}`), 'amount')
  assert.equal(fieldOf(`{${members},"amount":1e3}`), 'amount')
  assert.equal(fieldOf(`{${members},"amount":null}`), 'amount')
  assert.equal(fieldOf(`{${members}}`), 'amount')
  assert.equal(fieldOf(`{${members},"amount":5,"note":"x"}`), 'note')
  assert.equal(fieldOf(`{${members},"amount":5,"amount":5}`), 'amount')
  assert.equal(fieldOf(`{"account_id":5,"amount":5}`), 'account_id')
  const flat = 'an object of strings and numbers'
  for (const text of ['', '[]', '{', '{}', `{${members},"amount":[5]}`, `{${members},"amount":5`]) {
    const found = text.length > 100 ? `${text.slice(0, 100)}…` : text
    assert.deepEqual(ndjson(text), { expected: flat, found }, text)
  }
  const two = `{${members},"amount":5} {}`
  assert.deepEqual(ndjson(two), { expected: 'one object', found: two.slice(0, 100) + '…' })
})

test('a line without an id gets the same UUIDv8 each time, another one in another place', () => {
  // printf 'transaction-ledger import v1\na\n7' | sha256sum
  assert.equal(lineId('a', 7), '69ca4f75-7277-8f7a-aa48-27541ea9d481')
  const ids = [lineId('a', 7), lineId('a', 8), lineId('b', 7), lineId('a\n7', 8)]
  assert.equal(new Set(ids).size, ids.length)
})
