// Finds inputs that reach branches no other input reaches, by the coverage that V8 counts.
// In:  a target, the corpus so far, a seed.
// Out: a corpus in which each input is needed for a branch, or was there and has failed once.
// Absent: fuzzing for failures (run.ts), which is a hundred times as fast.

import type { Profiler } from 'node:inspector'
import { Session } from 'node:inspector/promises'
import { Random } from '../random.ts'
import { Input } from './input.ts'
import { mutate } from './mutate.ts'
import type { Target } from './target.ts'

export interface GrowOptions {
  seed: number
  /** The batch that is begun is finished. */
  seconds: number
  /** To look at coverage takes a hundred times as long as an input does. */
  batchSize?: number
  corpus: readonly Uint8Array[]
}

export interface Grown {
  inputs: Uint8Array[]
  /** Characters of the target's files, compiled, that some input ran through. */
  covered: number
}

export async function grow(
  target: Target,
  { seed, seconds, batchSize = 512, corpus }: GrowOptions,
): Promise<Grown> {
  const coverage = await Coverage.begin(target)
  const random = new Random(seed)
  const inputs = [...corpus]
  const known = new Covered()
  for (const input of inputs) known.add(await coverage.of([input]))
  const until = performance.now() + seconds * 1000
  const scratch = new Input()
  do {
    const batch = Array.from({ length: batchSize }, () => {
      const isKnown = inputs.length > 0 && random.chance(0.7)
      scratch.set(isKnown ? random.pick(inputs) : target.generate(random))
      if (random.chance(0.9)) mutate(scratch, random, target.dictionary, target.generate(random))
      return Uint8Array.from(scratch.bytes)
    })
    if (!known.lacks(await coverage.of(batch))) continue
    // Short ones first: what they reach needs no longer one.
    batch.sort((a, b) => a.length - b.length)
    for (const input of batch) {
      if (known.add(await coverage.of([input]))) inputs.push(input)
    }
  } while (performance.now() < until)
  await coverage.end()
  return { inputs, covered: known.size }
}

/** By file, 1 for each character that was run. */
type Painted = ReadonlyMap<string, Uint8Array>

/** What was run at least once. */
class Covered {
  readonly #files = new Map<string, Set<number>>()

  get size(): number {
    return [...this.#files.values()].reduce((sum, { size }) => sum + size, 0)
  }

  lacks(painted: Painted): boolean {
    return [...painted].some(([url, marks]) => {
      const known = this.#files.get(url)
      return marks.some((mark, at) => mark === 1 && known?.has(at) !== true)
    })
  }

  /** Returns whether any of it is new. */
  add(painted: Painted): boolean {
    if (!this.lacks(painted)) return false
    for (const [url, marks] of painted) {
      const known = this.#files.get(url) ?? new Set()
      this.#files.set(url, known)
      for (const [at, mark] of marks.entries()) if (mark === 1) known.add(at)
    }
    return true
  }
}

class Coverage {
  readonly #session: Session
  readonly #target: Target
  readonly #files: readonly string[]

  static async begin(target: Target): Promise<Coverage> {
    const session = new Session()
    session.connect()
    await session.post('Profiler.enable')
    await session.post('Profiler.startPreciseCoverage', { callCount: true, detailed: true })
    return new Coverage(session, target)
  }

  private constructor(session: Session, target: Target) {
    this.#session = session
    this.#target = target
    this.#files = target.files.map((file) => `/dist/${file.replace(/\.ts$/, '.js')}`)
  }

  async of(inputs: readonly Uint8Array[]): Promise<Painted> {
    await this.#session.post('Profiler.takePreciseCoverage')
    for (const input of inputs) this.#target.check(input, false)
    const { result } = await this.#session.post('Profiler.takePreciseCoverage')
    const ours = result.filter(({ url }) => this.#files.some((file) => url.endsWith(file)))
    return new Map(ours.map(({ url, functions }) => [url, paint(functions)]))
  }

  async end(): Promise<void> {
    await this.#session.post('Profiler.stopPreciseCoverage')
    this.#session.disconnect()
  }
}

/** Ranges within others come after them, and say more. */
function paint(functions: readonly Profiler.FunctionCoverage[]): Uint8Array {
  const ranges = functions.flatMap((each) => each.ranges)
  const marks = new Uint8Array(Math.max(0, ...ranges.map(({ endOffset }) => endOffset)))
  for (const { startOffset, endOffset, count } of ranges) {
    marks.fill(count > 0 ? 1 : 0, startOffset, endOffset)
  }
  return marks
}
