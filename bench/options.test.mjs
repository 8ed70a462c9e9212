import assert from 'node:assert/strict'
import { test } from 'node:test'
import { UsageError, helpText, readOptions, shownOptions } from './options.mjs'
import { chosen, scenarios } from './scenarios/index.mjs'

const names = (argv) => chosen(readOptions(argv)).map(({ name }) => name)

test('flags of the program stand behind two dashes', () => {
  const options = readOptions(['steady', '--seconds', '7', '--', '--workers', '1'])
  assert.deepEqual(
    [options.scenarios, options.seconds, options.flags],
    [['steady'], 7, ['--workers', '1']],
  )
})

test('the sides of a comparison may have several flags', () => {
  const { sides } = readOptions(['compare', '--a', '--workers 1', '--b', '--workers 2 --linger 9'])
  assert.deepEqual(sides, [
    { flags: ['--workers', '1'], program: undefined },
    { flags: ['--workers', '2', '--linger', '9'], program: undefined },
  ])
})

test('what cannot be meant is refused with what was expected', () => {
  const cases = {
    '--seconds: expected a number above 0, found "x"': ['--seconds', 'x'],
    '--url: expected http://HOST:PORT, found "localhost:7070"': ['--url', 'localhost:7070'],
    '--kafka: with --url nothing is started': ['--url', 'http://localhost:7070', '--kafka'],
    '--database-url and --metrics-url: expected --url': ['--database-url', 'postgresql://x/y'],
    "Unknown option '--second'": ['--second', '3'],
  }
  for (const [message, argv] of Object.entries(cases)) {
    assert.throws(
      () => readOptions(argv),
      (error) => error instanceof UsageError && error.message.startsWith(message),
      message,
    )
  }
  assert.throws(() => names(['stedy']), /Expected one of the scenarios limit, steady.*found stedy/s)
})

test('without names the default ones run, the limit first, within ten minutes', () => {
  const options = readOptions([])
  const list = chosen(options)
  assert.equal(list[0].name, 'limit')
  assert.ok(list.reduce((sum, each) => sum + each.seconds(options), 0) <= 600)
})

test('a deployment that runs already is loaded only', () => {
  const list = names(['--url', 'http://127.0.0.1:7070', '--all'])
  for (const name of ['limit', 'crash', 'scale', 'compare']) assert.ok(!list.includes(name), name)
  assert.ok(list.includes('steady'))
})

test('the help names every scenario', () => {
  const text = helpText(scenarios)
  for (const { name, title } of scenarios)
    assert.ok(text.includes(`${name} `) && text.includes(title))
})

test('a report shows no passwords', () => {
  const given = ['--url', 'http://x:1', '--database-url', 'postgresql://u:secret@x/y']
  const flags = ['--a', '--receipt-key secret', '--b', '--database-url=postgresql://u:secret@x/y']
  const program = ['--', '--database-url', 'postgresql://u:secret@x/y', '--workers', '1']
  const shown = shownOptions(readOptions([...given, ...flags, ...program]))
  assert.doesNotMatch(JSON.stringify(shown), /secret/)
  assert.deepEqual(shown.flags, ['--database-url', '***', '--workers', '1'])
})
