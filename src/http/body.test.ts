import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Body, BufferPool, type BodySource } from './body.ts'
import { ByteBudget } from './budget.ts'

function source(bytesMax = 1 << 20, budgetBytes = 1 << 24): BodySource {
  return { pool: new BufferPool(), budget: new ByteBudget(budgetBytes), bytesMax }
}

function feed(body: Body, chunks: readonly Uint8Array[]): string {
  let state = ''
  chunks.forEach((chunk, i) => {
    const handed = Uint8Array.from(chunk)
    state = body.append(handed, i === chunks.length - 1)
    // Chunks are taken away when the call returns; a whole body is read before that.
    if (state !== 'whole') handed.fill(0)
  })
  return state
}

test('a body is what was sent, however it was cut, whether its length was declared or not', () => {
  const shared = source()
  const chunks = fc.array(fc.uint8Array({ maxLength: 100_000 }), { minLength: 1, maxLength: 6 })
  fc.assert(
    fc.property(chunks, fc.boolean(), (list, isDeclared) => {
      const all = Buffer.concat(list)
      const body = Body.open(shared, isDeclared ? all.length : undefined)
      assert(body)
      assert.equal(feed(body, list), 'whole')
      assert(all.equals(body.whole))
      body.release()
      assert.equal(shared.budget.taken, 0)
    }),
    { numRuns: 60 },
  )
})

test('a body of unknown length stops where the limit is, and gives everything back', () => {
  const limited = source(1000)
  const body = Body.open(limited, undefined)
  assert(body)
  assert.equal(body.append(new Uint8Array(1000), false), 'partial')
  assert.equal(body.append(new Uint8Array(1), false), 'overflow')
  assert.equal(limited.budget.taken, 0)
})

test('what does not fit the budget is refused before it is held', () => {
  const tight = source(1 << 20, 150_000)
  const first = Body.open(tight, 100_000)
  assert.equal(first?.append(new Uint8Array(60_000), false), 'partial')
  assert.equal(Body.open(tight, 100_000), undefined)
  const unknown = Body.open(tight, undefined)
  assert.equal(unknown?.append(new Uint8Array(90_000), false), 'no-room')
  first.release()
  assert(Body.open(tight, 100_000))
})

test('a body takes room as it comes, not as it was declared', () => {
  const shared = source(1 << 21, 1 << 22)
  const slow = Array.from({ length: 1000 }, () => Body.open(shared, 1 << 21))
  for (const body of slow) assert.equal(body?.append(new Uint8Array(100), false), 'partial')
  assert.equal(shared.budget.taken, 1000 * 1024)
  const honest = Body.open(shared, 600_000)
  assert(honest)
  let state = ''
  for (let at = 0; at < 600_000; at += 60_000) {
    state = honest.append(new Uint8Array(60_000), at === 540_000)
    const come = Math.min(2 ** Math.ceil(Math.log2(at + 60_000)), 600_000)
    assert.equal(shared.budget.taken, 1000 * 1024 + come)
  }
  assert.equal(state, 'whole')
  for (const body of [...slow, honest]) body?.release()
  assert.equal(shared.budget.taken, 0)
})
