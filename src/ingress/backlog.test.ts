import assert from 'node:assert/strict'
import test from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { Backlog } from './backlog.ts'

function checkHolding(backlog: Backlog, expected: boolean): void {
  assert.equal(backlog.isHolding, expected)
}

/** A backlog of 100 bytes whose workers have just persisted something. */
function moving(): Backlog {
  const backlog = new Backlog(100)
  backlog.add(9, 0, 1)
  backlog.advance(9, 1)
  return backlog
}

test('holds past its limit while the workers make progress, and until they have caught up', () => {
  const backlog = moving()
  let releases = 0
  backlog.onRelease = () => releases++
  backlog.add(1, 0, 60)
  checkHolding(backlog, false)
  backlog.add(1, 1, 60)
  backlog.add(2, 5, 60)
  checkHolding(backlog, true)
  backlog.advance(1, 1)
  checkHolding(backlog, true)
  assert.equal(releases, 0)
  backlog.advance(2, 6)
  checkHolding(backlog, false)
  assert.equal(releases, 1)
})

test('does not hold while nothing of it is persisted: the log takes what comes', () => {
  const backlog = new Backlog(100)
  backlog.add(1, 7, 500)
  // What an earlier process left is being applied.
  backlog.advance(1, 3)
  checkHolding(backlog, false)
})

test('what came while nothing was persisted does not stop ingress when the workers are back', () => {
  const backlog = new Backlog(100)
  for (let offset = 0; offset < 100; offset++) backlog.add(1, offset, 100)
  backlog.advance(1, 10)
  checkHolding(backlog, false)
  backlog.add(1, 100, 700)
  checkHolding(backlog, false)
  backlog.add(1, 101, 200)
  checkHolding(backlog, true)
  backlog.advance(1, 100)
  checkHolding(backlog, false)
  backlog.add(1, 102, 7500)
  checkHolding(backlog, true)
})

test('a stall of the workers ends holding', async () => {
  const backlog = moving()
  backlog.add(1, 0, 500)
  checkHolding(backlog, true)
  // The backlog's own timer does not keep a process alive; this one does.
  const alive = setTimeout(() => undefined, 10_000)
  await new Promise<void>((resolve) => {
    backlog.onRelease = resolve
  })
  clearTimeout(alive)
  checkHolding(backlog, false)
})

test('a record that is persisted before its append is known here does not count', () => {
  const backlog = moving()
  backlog.advance(1, 8)
  backlog.add(1, 7, 500)
  checkHolding(backlog, false)
  backlog.add(1, 8, 500)
  checkHolding(backlog, true)
})

test('what is not for workers of this process does not count, nor what others take over', async () => {
  let ours = [1, 9]
  const backlog = new Backlog(100, () => ours)
  backlog.add(9, 0, 1)
  backlog.advance(9, 1)
  backlog.add(2, 0, 500)
  checkHolding(backlog, false)
  backlog.add(1, 0, 500)
  checkHolding(backlog, true)
  ours = [9]
  // It asks again now and then, and needs no append for that.
  while (backlog.isHolding) {
    await delay(20)
    backlog.add(9, 5, 1)
    backlog.advance(9, 6)
  }
})
