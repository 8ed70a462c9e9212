import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import test from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { faults, losses } from './faults.ts'
import { compileProduct } from './product.ts'
import { runSeed } from './run.ts'

const command = fileURLToPath(new URL('command.js', import.meta.url))
const seeds = 10_000
const processes = 2

/** Rejects with everything that happened in the seed that failed. */
async function simulate(from: number, count: number): Promise<string> {
  const flags = ['--from', String(from), '--seeds', String(count)]
  const run = promisify(execFile)(process.execPath, [command, ...flags], { maxBuffer: 2 ** 26 })
  const { stdout } = await run.catch((error: unknown) => {
    throw new Error((error as { stdout?: string }).stdout, { cause: error })
  })
  return stdout
}

test(`in ${seeds} simulated runs nothing is lost, doubled, or acknowledged before it is durable`, async (context) => {
  const share = seeds / processes
  const starts = Array.from({ length: processes }, (_, index) => 1 + index * share)
  const outputs = await Promise.all(starts.map((from) => simulate(from, share)))
  for (const output of outputs) {
    context.diagnostic(output.trim())
    for (const name of Object.keys({ ...faults, ...losses })) {
      assert.match(output, new RegExp(`\\b${name} [1-9]`), `expected ${name} to have happened`)
    }
  }
})

test('the same seed gives the same run, to the last event', async () => {
  const [one, other] = [await compileProduct(), await compileProduct()]
  for (let seed = 1; seed <= 40; seed++) {
    const { trace } = await runSeed(one, seed)
    assert(trace.length > 10)
    assert.deepEqual((await runSeed(other, seed)).trace, trace, `seed ${seed}`)
  }
})

test('a run goes the same way whether its events are written down or not', async () => {
  const product = await compileProduct()
  for (let seed = 1; seed <= 40; seed++) {
    const { trace, ...traced } = await runSeed(product, seed, true)
    const { trace: none, ...untraced } = await runSeed(product, seed, false)
    assert.deepEqual(untraced, traced, `seed ${seed}`)
    assert(trace.length > none.length)
  }
})
