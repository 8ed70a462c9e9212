// Runs seeds, one after the other.
// In:  how many, from which on; the program, with or without a bug planted.
// Out: the first that fails, with its trace; figures of all.
// Absent: tests, the command line (command.ts).

import type { ViolationKind } from './history.ts'
import type { Product } from './product.ts'
import { World, type Outcome } from './world.ts'

export interface Figures {
  seeds: number
  commits: number
  applied: number
  acknowledged: number
  simulatedMs: number
  faults: Map<string, number>
}

export interface Run {
  figures: Figures
  failed: Outcome | undefined
}

export interface Span {
  from: number
  seeds: number
}

export function runSeed(product: Product, seed: number, isTraced = true): Promise<Outcome> {
  return new World(seed, product, isTraced).run()
}

/** Stops at the first seed that fails, and runs it again for its trace. */
export async function runSeeds(
  product: Product,
  { from, seeds }: Span,
  onSeed: (outcome: Outcome) => void = () => undefined,
): Promise<Run> {
  const faults = new Map<string, number>()
  const figures = { seeds: 0, commits: 0, applied: 0, acknowledged: 0, simulatedMs: 0, faults }
  for (let seed = from; seed < from + seeds; seed++) {
    const outcome = await runSeed(product, seed, false)
    figures.seeds++
    figures.commits += outcome.commits
    figures.applied += outcome.applied
    figures.acknowledged += outcome.acknowledged
    figures.simulatedMs += outcome.simulatedMs
    for (const name of outcome.faults) faults.set(name, (faults.get(name) ?? 0) + 1)
    onSeed(outcome)
    if (outcome.violation) return { figures, failed: await runSeed(product, seed) }
  }
  return { figures, failed: undefined }
}

/** The first seed that shows one of these kinds of violation; undefined where none does. */
export async function findViolation(
  product: Product,
  { from, seeds }: Span,
  kinds: readonly ViolationKind[],
): Promise<Outcome | undefined> {
  for (let seed = from; seed < from + seeds; seed++) {
    const outcome = await runSeed(product, seed, false)
    if (outcome.violation && kinds.includes(outcome.violation.kind)) return outcome
  }
  return undefined
}
