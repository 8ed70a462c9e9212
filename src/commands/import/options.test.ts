import assert from 'node:assert/strict'
import { test } from 'node:test'
import { helpText, readOptions } from './options.ts'

test('a file alone is enough where its name tells the format', () => {
  const options = readOptions(['day.csv'])
  assert.equal(options?.format, 'csv')
  assert.equal(options.url.href, 'http://127.0.0.1:7070/')
  assert.equal(options.stateFile, 'day.csv.import.json')
  assert.equal(options.errorFile, 'day.csv.errors.ndjson')
  assert.deepEqual([options.batchItems, options.inFlight, options.retryForMs], [5000, 4, 300_000])
})

test('standard input has a format that is told, and no state unless asked for', () => {
  const options = readOptions(['-', '--format=ndjson', '--batch', '10', '--ignore-unknown'])
  assert.equal(options?.stateFile, undefined)
  assert.deepEqual([options?.batchItems, options?.ignoresUnknown], [10, true])
})

test('--help tells every flag, and wins', () => {
  assert.equal(readOptions(['--help']), undefined)
  for (const flag of ['--url URL', '--restart', '--id-namespace TEXT']) {
    assert(helpText.includes(`  ${flag}\n`))
  }
})

test('arguments that cannot work are refused by name, expectation and finding', () => {
  const refusals: [string[], RegExp][] = [
    [[], /expected one FILE, found "none"/],
    [['a.csv', 'b.csv'], /expected one FILE, found "a.csv b.csv"/],
    [['a.txt'], /--format: expected csv or ndjson, since/],
    [['-'], /--format: expected csv or ndjson, since/],
    [['a.csv', '--format', 'xml'], /--format: expected csv or ndjson, found "xml"/],
    [['a.csv', '--batch', '5001'], /--batch: expected a whole number from 1 to 5000/],
    [['a.csv', '--in-flight', '0'], /--in-flight: expected a whole number from 1 to 64/],
    [['a.csv', '--url', 'ledger'], /--url: expected an address/],
    [['a.csv', '--url', 'ftp://x'], /--url: expected an address/],
    [['a.csv', '--state'], /--state: expected a value/],
    [['a.csv', '--restart=yes'], /--restart: expected no value/],
    [['a.csv', '--batch', '1', '--batch', '1'], /--batch: expected to be given once/],
    [['a.csv', '--what'], /expected FILE or one of --url, .*found "--what"/],
  ]
  for (const [argv, message] of refusals) {
    assert.throws(() => readOptions(argv), { code: 'CONFIG_INVALID', message })
  }
})
