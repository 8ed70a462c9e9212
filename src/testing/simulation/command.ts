// npm run simulate: runs seeds of the simulation until one fails.
// In:  --seeds and --from.
// Out: figures; or the seed that fails, with everything that happened; exit code 1 then.
// Absent: what is simulated (world.ts).

import { parseArgs } from 'node:util'
import { compileProduct } from './product.ts'
import { runSeeds } from './run.ts'

const { values } = parseArgs({
  options: { seeds: { type: 'string' }, from: { type: 'string' }, trace: { type: 'boolean' } },
})

function whole(name: 'seeds' | 'from', text: string | undefined, otherwise: number): number {
  const value = text === undefined ? otherwise : Number(text)
  if (Number.isSafeInteger(value) && value >= 1) return value
  throw new Error(`--${name}: expected a whole number from 1 on, found ${text}`)
}

const span = { seeds: whole('seeds', values.seeds, 10_000), from: whole('from', values.from, 1) }
const product = await compileProduct()
const started = performance.now()
const { figures, failed } = await runSeeds(product, span)
const seconds = (performance.now() - started) / 1000
const cpu = process.cpuUsage()
if (failed) {
  for (const line of failed.trace) console.log(line)
  console.log(
    `seed ${failed.seed} fails; again: npm run simulate -- --from ${failed.seed} --seeds 1`,
  )
  process.exitCode = 1
}
const { seeds, commits, applied, acknowledged, simulatedMs, faults } = figures
console.log(
  `${seeds} seeds in ${seconds.toFixed(1)} s, ` +
    `${(cpu.user / 1000 / seeds).toFixed(2)} ms of CPU each: ` +
    `${Math.round(simulatedMs / 1000)} s simulated, ${acknowledged} requests acknowledged, ` +
    `${applied} rows in ${commits} commits`,
)
console.log([...faults].map(([name, count]) => `${name} ${count}`).join(', '))
