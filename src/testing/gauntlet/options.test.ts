import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseOptions, UsageError } from './options.ts'

test('without flags both logs are run for three minutes in all, with a seed that is told', () => {
  const { minutes, logs, faults, trials, seed } = parseOptions([])
  assert.deepEqual(
    { minutes, logs, faults, trials },
    {
      minutes: 3,
      logs: ['embedded', 'kafka'],
      faults: [],
      trials: true,
    },
  )
  assert(Number.isSafeInteger(seed))
})

test('a run is asked for again by the flags its report prints', () => {
  const words = '--seed 7 --minutes 0.5 --log kafka --rate 900 --faults kill-worker --no-trials'
  assert.deepEqual(parseOptions(words.split(' ')), {
    ...{ seed: 7, minutes: 0.5, logs: ['kafka'], faults: ['kill-worker'], itemsPerSecond: 900 },
    ...{ trials: false, out: 'gauntlet-report', quiet: false },
  })
})

for (const [words, message] of [
  ['--seed x', /--seed: expected a whole number from 0 on; found x/],
  ['--minutes 0', /--minutes: expected a number above 0; found 0/],
  ['--log file', /--log: expected embedded, kafka or both; found file/],
  ['--faults kill-king', /--faults: expected some of kill-program, .*; found kill-king/],
  ['--nothing', /--nothing/],
] as const) {
  test(`${words} is refused with what would be right`, () => {
    assert.throws(
      () => parseOptions(words.split(' ')),
      (error: Error) => error instanceof UsageError && message.test(error.message),
    )
  })
}
