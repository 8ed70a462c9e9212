import assert from 'node:assert/strict'
import { test } from 'node:test'
import { makeSchedule, scheduleLines, type ScheduleOptions } from './schedule.ts'

const faults: ScheduleOptions['faults'] = ['a', 'b', 'c', 'd'].map((name) => ({
  name,
  holdMs: [100, 900],
}))
const options: ScheduleOptions = { seed: 7, minutes: 3, log: 'kafka', faults }

test('one seed gives one schedule', () => {
  assert.deepEqual(makeSchedule(options), makeSchedule(options))
  assert.deepEqual(scheduleLines(makeSchedule(options)).slice(0, 4), [
    'round 1 of 1',
    '  1 a: after 249 ms, for 419 ms, chances 958329073',
    '  2 d: after 116 ms, for 429 ms, chances 3723325439',
    '  3 b + c: after 324 ms, for 691 ms, chances 2270774231',
  ])
})

test('another seed, or another log, gives another schedule', () => {
  const others: ScheduleOptions[] = [
    { ...options, seed: 8 },
    { ...options, log: 'embedded' },
  ]
  for (const other of others) {
    assert.notDeepEqual(makeSchedule(other).rounds, makeSchedule(options).rounds)
  }
})

test('a longer run begins as a shorter one of as many rounds does', () => {
  const [short] = makeSchedule(options).rounds
  const [long] = makeSchedule({ ...options, minutes: 9 }).rounds
  const steps = short?.steps.length ?? 0
  assert(steps > 50)
  assert.deepEqual(long?.steps.slice(0, steps), short?.steps)
})

test('every fault has its turn before one has its second', () => {
  const drawn = makeSchedule(options).rounds[0]?.steps.flatMap((step) => step.faults) ?? []
  for (const { name } of faults) {
    const count = drawn.filter((each) => each === name).length
    assert(Math.abs(count - drawn.length / faults.length) < drawn.length * 0.05)
  }
})

test('a long run pauses every ten minutes to be checked', () => {
  const { rounds } = makeSchedule({ ...options, minutes: 60 })
  assert.equal(rounds.length, 6)
  for (const { steps, lengthMs } of rounds) {
    assert.equal(lengthMs, 600_000)
    const filled = steps.reduce((sum, { holdMs, pauseMs }) => sum + holdMs + pauseMs, 0)
    assert(filled >= lengthMs)
  }
})
