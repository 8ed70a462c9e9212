import assert from 'node:assert/strict'
import { test } from 'node:test'
import { requestItemsMax } from '../limits.ts'
import { encodeBatch } from '../record/encode.ts'
import { partitionOf } from '../record/partition.ts'
import { RequestBatch, type RequestFault } from './batch.ts'
import { parseJson } from './parse-json.ts'

const id = '0190b6e5-f00d-7abc-8def-0123456789ab'
const accountId = 'ffeeddcc-bbaa-9988-7766-554433221100'
const entry = {
  id: Buffer.from(id.replaceAll('-', ''), 'hex'),
  accountId: Buffer.from(accountId.replaceAll('-', ''), 'hex'),
  amount: 125n,
}
const item = `{"id":"${id}","account_id":"${accountId}","amount":125}`
const withAmount = (amount: string) => `[${item.replace('125', amount)}]`
const replaced = (from: string, to: string) => `[${item.replace(from, to)}]`

const into = new RequestBatch()

function parse(body: string | Uint8Array): RequestFault | undefined {
  return parseJson(Buffer.from(body), into)
}

function checkTaken(body: string, amount = 125n): void {
  assert.equal(parse(body), undefined, body)
  assert.equal(into.count, 1)
  assert.deepEqual(into.entries.slice(0, 47), encodeBatch([{ ...entry, amount }]))
}

function checkRefused(body: string | Uint8Array, expected: RequestFault): void {
  assert.deepEqual(parse(body), expected)
  assert.equal(into.count, 0)
}

const int64 = 'an integer from -9223372036854775808 to 9223372036854775807'
const uuid = 'a UUID as a string of 36 characters'
const anyKey = 'the key "id", "account_id" or "amount"'
const amountPosition = item.indexOf('125') + 1

test('an item becomes its canonical entry, and its partition is that of its account', () => {
  checkTaken(`[${item}]`)
  const view = new DataView(into.entries.buffer)
  assert.equal(into.partitions[0], partitionOf(view, 22))
})

test('a body in the middle of a larger buffer is read in its own bounds', () => {
  const buffer = Buffer.from(`[${item}][${item}]`)
  assert.equal(parseJson(buffer.subarray(item.length + 2), into), undefined)
  assert.equal(into.count, 1)
})

test('keys come in any order, with white space anywhere between tokens', () => {
  checkTaken(`\r\n[ {\t"amount" : 125 ,\n"account_id": "${accountId}","id" :"${id}" } ] `)
  checkTaken(JSON.stringify(JSON.parse(`[${item}]`), null, 2))
})

test('upper- and lower-case ids are the same id', () => {
  checkTaken(replaced(id, id.toUpperCase()))
  checkTaken(replaced(accountId, accountId.toUpperCase()))
})

test('characters of keys and strings may be escaped as JSON has it', () => {
  checkTaken(replaced('"id"', '"\\u0069d"'))
  checkTaken(replaced('account_id', 'account\\u005fid'))
  checkTaken(replaced(id, `\\u0030${id.slice(1)}`))
  checkTaken(withAmount('"1\\u0032\\u0035"'))
  checkRefused(replaced('"id"', '"\\x69d"'), {
    index: 0,
    position: 2,
    expected: anyKey,
    found: '`"\\x69d"`',
  })
  checkRefused(replaced('"id"', '"\\u0169d"'), {
    index: 0,
    position: 2,
    expected: anyKey,
    found: '`"\\u0169d"`',
  })
})

test('an amount is a number or a string of digits, of all 64 bits', () => {
  checkTaken(withAmount('"125"'))
  for (const amount of [
    '9223372036854775807',
    '-9223372036854775808',
    '9007199254740993',
    '-1',
    '0',
  ]) {
    checkTaken(withAmount(amount), BigInt(amount))
    checkTaken(withAmount(`"${amount}"`), BigInt(amount))
  }
})

test('minus zero is zero', () => {
  checkTaken(withAmount('-0'), 0n)
  checkTaken(withAmount('"-0"'), 0n)
})

test('an amount that is not an int64 is refused, and the fault quotes it', () => {
  const tokens = [
    '1.0',
    '1e3',
    '1E3',
    '01',
    '-01',
    '+1',
    'null',
    'true',
    '0x1',
    '.5',
    '1.',
    '-',
    'NaN',
  ]
  const strings = ['"12x"', '""', '" 1"', '"1 "', '"1.0"', '"01"', '"+1"', '"0x1"', '"-"']
  const outside = ['9223372036854775808', '-9223372036854775809', '"9223372036854775808"']
  const fault = { index: 0, field: 'amount', position: amountPosition, expected: int64 } as const
  for (const amount of [...tokens, ...strings, ...outside]) {
    checkRefused(withAmount(amount), { ...fault, found: `\`${amount}\`` })
  }
  checkRefused(withAmount('[[[1]]]'), { ...fault, found: '`[`' })
  checkRefused(withAmount('{"units":1}'), { ...fault, found: '`{`' })
})

test('a malformed id is refused, and the fault names the field', () => {
  const wrong = [
    id.slice(1),
    `${id}0`,
    id.replaceAll('-', ''),
    id.replace('a', 'g'),
    `{${id.slice(2)}}`,
    '',
  ]
  for (const text of wrong) {
    const fault = { index: 0, field: 'id', position: 7, expected: uuid } as const
    const found = text.length > 31 ? `\`"${text.slice(0, 31)}…\`` : `\`"${text}"\``
    checkRefused(replaced(id, text), { ...fault, found })
    const body = replaced(accountId, text)
    const position = body.indexOf('"account_id"') + 13
    checkRefused(body, { ...fault, field: 'account_id', position, found })
  }
  checkRefused(replaced(`"${id}"`, '7'), {
    index: 0,
    field: 'id',
    position: 7,
    expected: uuid,
    found: '`7`',
  })
})

test('an unknown, repeated or missing key is refused', () => {
  const unknown = replaced('"amount"', '"currency":"EUR","amount"')
  const at = unknown.indexOf('"currency"')
  checkRefused(unknown, { index: 0, position: at, expected: anyKey, found: '`"currency"`' })
  const repeated = replaced('}', ',"amount":125}')
  const again = {
    index: 0,
    field: 'amount',
    position: item.length + 1,
    expected: 'each key once',
  } as const
  checkRefused(repeated, { ...again, found: '`"amount"`' })
  const escaped = replaced('}', ',"\\u0061mount":125}')
  checkRefused(escaped, { ...again, found: '`"\\u0061mount"`' })
  const missing = `[${item},{"id":"${id}","amount":1}]`
  const expected = 'the member "account_id"'
  const position = missing.length - 2
  checkRefused(missing, { index: 1, field: 'account_id', position, expected, found: '`}`' })
  checkRefused('[{}]', {
    index: 0,
    field: 'id',
    position: 2,
    expected: 'the member "id"',
    found: '`}`',
  })
})

test('what is no array of objects is refused', () => {
  const end = 'the end of the body'
  checkRefused('', { position: 0, expected: 'an array', found: end })
  checkRefused(item, { position: 0, expected: 'an array', found: '`{`' })
  checkRefused('null', { position: 0, expected: 'an array', found: '`null`' })
  checkRefused('[7]', { index: 0, position: 1, expected: 'an object', found: '`7`' })
  checkRefused(`[${item}`, { position: item.length + 1, expected: '`,` or `]`', found: end })
  checkRefused(`[${item},]`, {
    index: 1,
    position: item.length + 2,
    expected: 'an object',
    found: '`]`',
  })
  checkRefused(replaced('}', ',}'), {
    index: 0,
    position: item.length + 1,
    expected: anyKey,
    found: '`}`',
  })
  checkRefused(`[${item}][${item}]`, { position: item.length + 2, expected: end, found: '`[`' })
})

test('1 to 5000 items are taken', () => {
  const bodyOf = (count: number) => {
    const items = Array.from({ length: count }, (_, index) => {
      return item.replace(id, id.slice(0, 28) + String(index).padStart(8, '0'))
    })
    return `[${items.join(',')}]`
  }
  assert.equal(parse(bodyOf(requestItemsMax)), undefined)
  assert.equal(into.count, requestItemsMax)
  const expected = '1 to 5000 transactions'
  const position = 1 + requestItemsMax * (item.length + 1)
  checkRefused(bodyOf(requestItemsMax + 1), { position, expected, found: 'more than 5000' })
  checkRefused(' [ ]', { position: 3, expected, found: 'none' })
})

test('bad UTF-8, a byte order mark and NUL bytes are refused, and shown harmlessly', () => {
  const bom = Buffer.from(`\ufeff[${item}]`)
  checkRefused(bom, { position: 0, expected: 'an array', found: '`\\xef\\xbb\\xbf`' })
  const nul = replaced(id, `\0${id.slice(1)}`)
  const found = `\`"\\x00${id.slice(1, 28)}…\``
  checkRefused(nul, { index: 0, field: 'id', position: 7, expected: uuid, found })
  const trailing = { position: item.length + 2, expected: 'the end of the body', found: '`\\x00`' }
  checkRefused(`[${item}]\0`, trailing)
  const broken = Buffer.from(replaced('"id"', '"i\xff"'), 'latin1')
  checkRefused(broken, { index: 0, position: 2, expected: anyKey, found: '`"i\\xff"`' })
})

test('a fault far down a deep or endless body costs no stack', () => {
  const deep = '['.repeat(1_000_000)
  checkRefused(deep, { index: 0, position: 1, expected: 'an object', found: '`[`' })
  const nested = replaced('125', '{"a":'.repeat(200_000))
  assert.equal(parse(nested)?.field, 'amount')
  const endless = withAmount('9'.repeat(1_000_000))
  assert.equal(parse(endless)?.found, `\`${'9'.repeat(32)}…\``)
})

test('the same id on the same account with another amount is refused, and names both items', () => {
  const other = item.replace(id, id.replace('0', '1'))
  const body = `[${item},${other},${item.replace('125', '"-7"')}]`
  const expected = '125, the amount of the same account_id and id in item 0'
  checkRefused(body, { index: 2, field: 'amount', expected, found: '-7' })
  assert.equal(parse(`[${item},${item},${item}]`), undefined)
  assert.equal(into.count, 3)
  const twoAccounts = item.replace(accountId, accountId.replace('f', 'e')).replace('125', '-125')
  assert.equal(parse(`[${item},${twoAccounts}]`), undefined)
})
