import assert from 'node:assert/strict'
import test from 'node:test'
import { bugs } from './bugs.ts'
import { compileProduct } from './product.ts'
import { findViolation } from './run.ts'

const seedsMost = 1000

// What notices a bug is one of the kinds that belong to it: a text that the simulated PostgreSQL
// does not know, or an assertion that fails everywhere, would be noticed as something else.
for (const { name, replacements, noticedAs } of bugs) {
  test(`it is noticed when ${name}`, async (context) => {
    const product = await compileProduct(replacements)
    const outcome = await findViolation(product, { from: 1, seeds: seedsMost }, noticedAs)
    assert(outcome?.violation, `expected one of ${seedsMost} seeds to show it, found none`)
    const { kind, message } = outcome.violation
    context.diagnostic(`seed ${outcome.seed}, ${kind}: ${message.split('\n')[0]}`)
  })
}

test('a replacement that is not in the text just once is refused', async () => {
  const replacement = { file: 'worker/held.ts', from: 'not there', to: '' }
  await assert.rejects(compileProduct([replacement]), /worker\/held.ts: expected this text once/)
})
