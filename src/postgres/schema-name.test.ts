import assert from 'node:assert/strict'
import { test } from 'node:test'
import { textFiles } from '../artifact/executable.ts'
import { schemaOf, urlOfSchema } from './schema-name.ts'

const url = 'postgresql://ledger:ledger@ledger.example/ledger'

test('a URL carries the name of a schema to whoever connects with it', () => {
  assert.equal(schemaOf(url).translate, undefined)
  for (const plain of [url, `${url}?sslmode=require`]) {
    const found = schemaOf(urlOfSchema(plain, 'ledger_replay'))
    assert.equal(found.url, plain)
    assert.equal(found.translate?.('SELECT FROM ledger.layout'), 'SELECT FROM ledger_replay.layout')
  }
})

test('the schema is translated wherever SQL names it, and nothing else', () => {
  const { translate } = schemaOf(urlOfSchema(url, 'ledger_replay'))
  assert(translate)
  for (const [text, expected] of [
    ["relnamespace = 'ledger'::regnamespace", "relnamespace = 'ledger_replay'::regnamespace"],
    ["s.schemaname = 'ledger'", "s.schemaname = 'ledger_replay'"],
    ['CREATE SCHEMA IF NOT EXISTS ledger;', 'CREATE SCHEMA IF NOT EXISTS ledger_replay;'],
    ["format('ledger.%I', name)", "format('ledger_replay.%I', name)"],
    ["'ledger.transactions'::regclass", "'ledger_replay.transactions'::regclass"],
    ["emit_message(true, 'ledger', 'x')", "emit_message(true, 'ledger', 'x')"],
    ['ledger_replay.layout', 'ledger_replay.layout'],
  ] as const) {
    assert.equal(translate(text), expected)
  }
  assert.deepEqual(translate([['ledger.transactions_b00'], 5, null]), [
    ['ledger_replay.transactions_b00'],
    5,
    null,
  ])
})

test('no schema file names the schema in a way that is not translated', () => {
  const { translate } = schemaOf(urlOfSchema(url, 'elsewhere'))
  for (const { name, text } of textFiles('ledger/schema', '.sql')) {
    const code = translate?.(text)
      .replace(/--.*$/gm, '')
      .replace(/ IS\s+'[^;]*;/g, '')
    assert.doesNotMatch(code ?? '', /\bledger\b/, name)
  }
})
