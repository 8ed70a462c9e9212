import assert from 'node:assert/strict'
import { test } from 'node:test'
import { LedgerError } from '../errors.ts'
import { withBackoff } from './backoff.ts'

const away = new LedgerError('DATABASE_UNAVAILABLE', 'away')

function failing(times: number, error: Error = away): () => Promise<string> {
  let left = times
  return () => (left-- > 0 ? Promise.reject(error) : Promise.resolve('done'))
}

function options(signal = new AbortController().signal) {
  const delays: number[] = []
  const onRetry = (_: LedgerError, milliseconds: number) => delays.push(milliseconds)
  return { delays, signal, onRetry, firstMilliseconds: 4, mostMilliseconds: 16 }
}

test('what passes is tried until it succeeds, with delays that double up to a bound', async () => {
  const settings = options()
  assert.equal(await withBackoff(failing(6), settings), 'done')
  assert.equal(settings.delays.length, 6)
  for (const [index, bound] of [4, 8, 16, 16, 16, 16].entries()) {
    const delay = settings.delays[index] ?? NaN
    assert(delay >= bound / 2 && delay <= bound, `delay ${index} of ${delay} ms`)
  }
})

test('what does not pass is not tried again', async () => {
  const refused = new LedgerError('DATABASE_REFUSED', 'wrong password')
  for (const error of [refused, new Error('a bug')]) {
    const settings = options()
    await assert.rejects(withBackoff(failing(1, error), settings), error)
    assert.deepEqual(settings.delays, [])
  }
})

test('stopping ends the waiting at once', async () => {
  const controller = new AbortController()
  const settings = {
    ...options(controller.signal),
    firstMilliseconds: 60_000,
    mostMilliseconds: 60_000,
  }
  const attempt = withBackoff(failing(9), settings)
  setImmediate(() => controller.abort())
  await assert.rejects(attempt, { code: 'STOPPING' })
})
