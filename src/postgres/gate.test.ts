import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Gate } from './gate.ts'

test('no more are inside than allowed, and they come in the order in which they came', async () => {
  const gate = new Gate({ insideMax: 2, waitingMax: 3, waitMs: 10_000 })
  const order: number[] = []
  let most = 0
  const visit = async (name: number): Promise<void> => {
    assert.equal(await gate.enter(), undefined)
    most = Math.max(most, gate.inside)
    order.push(name)
    await new Promise((resolve) => setImmediate(resolve))
    gate.leave()
  }
  await Promise.all([0, 1, 2, 3, 4].map(visit))
  assert.deepEqual([most, order, gate.load], [2, [0, 1, 2, 3, 4], 0])
})

test('whoever finds the line full is turned away at once, whoever waits too long in time', async () => {
  const gate = new Gate({ insideMax: 1, waitingMax: 1, waitMs: 20 })
  assert.equal(await gate.enter(), undefined)
  const waiting = gate.enter()
  assert.equal(await gate.enter(), 'full')
  assert.equal(await waiting, 'late')
  gate.leave()
  assert.equal(await gate.enter(), undefined)
})

test('whoever gives up leaves the line, and takes nobody’s place', async () => {
  const gate = new Gate({ insideMax: 1, waitingMax: 2, waitMs: 10_000 })
  await gate.enter()
  const leaving = new AbortController()
  const left = gate.enter(leaving.signal)
  const stays = gate.enter()
  leaving.abort()
  assert.equal(await left, 'gone')
  assert.equal(await gate.enter(AbortSignal.abort()), 'gone')
  gate.leave()
  assert.equal(await stays, undefined)
  assert.equal(gate.load, 1)
})
