// Runs a target on mutated inputs until the time is over, the count is reached, or it fails.
// In:  a target, its corpus, a seed.
// Out: how many inputs were tried and taken; the input that failed, made small.
// Absent: files, the command line (main.ts).

import { Random } from '../random.ts'
import { Input } from './input.ts'
import { mutate } from './mutate.ts'
import { shrink } from './shrink.ts'
import type { Target } from './target.ts'

export interface FuzzOptions {
  seed: number
  /** The search ends with whichever comes first. */
  seconds: number
  count?: number
  corpus: readonly Uint8Array[]
  onProgress?: (tried: number) => void
}

export interface FuzzFailure {
  input: Uint8Array
  error: unknown
}

export interface FuzzResult {
  tried: number
  taken: number
  seconds: number
  /** CPU that 256 inputs took at most. */
  slowestMs: number
  failure?: FuzzFailure
}

/** What mutations begin with: the corpus, and generated inputs that are replaced in turn. */
const poolSize = 1024
const replaceEvery = 16
const pooledBytesMax = 4096
/** Inputs that are tried as they were generated. */
const unchangedShare = 0.05
/** One input in so many is handed to every reference. */
const thoroughEvery = 16
/** Time is asked after so many inputs. */
const turn = 256
/** An input of a megabyte takes some 30 ms. Of CPU: a machine that is busy is no fault. */
const hangMs = 5_000

export function fuzz(target: Target, options: FuzzOptions): FuzzResult {
  const random = new Random(options.seed)
  const input = new Input()
  const pool = [...options.corpus]
  const kept = pool.length
  while (pool.length < kept + poolSize) {
    const fresh = target.generate(random)
    if (fresh.length <= pooledBytesMax) pool.push(fresh)
  }
  const startedAt = performance.now()
  const until = startedAt + options.seconds * 1000
  const result: FuzzResult = { tried: 0, taken: 0, seconds: 0, slowestMs: 0 }
  // What is thrown on the way is thrown a million times, and nobody looks at its stack.
  const { stackTraceLimit } = Error
  Error.stackTraceLimit = 0
  try {
    let turnBegan = cpuMs()
    while (result.tried < (options.count ?? Infinity)) {
      input.set(random.pick(pool))
      if (result.tried % replaceEvery === 0) {
        const fresh = target.generate(random)
        // A large one would take most of the time if it were drawn again and again.
        if (fresh.length <= pooledBytesMax) pool[kept + random.below(poolSize)] = fresh
        else input.set(fresh)
      }
      if (!random.chance(unchangedShare)) {
        mutate(input, random, target.dictionary, random.pick(pool))
      }
      result.tried += 1
      const isThorough = result.tried % thoroughEvery === 0
      if (target.check(input.bytes, isThorough) === 'taken') result.taken += 1
      if (result.tried % turn !== 0) continue
      const used = cpuMs()
      result.slowestMs = Math.max(result.slowestMs, used - turnBegan)
      if (performance.now() >= until) break
      options.onProgress?.(result.tried)
      turnBegan = used
    }
  } catch (error) {
    Error.stackTraceLimit = stackTraceLimit
    result.failure = { error, input: shrink(target, Uint8Array.from(input.bytes)) }
  } finally {
    Error.stackTraceLimit = stackTraceLimit
  }
  result.seconds = (performance.now() - startedAt) / 1000
  if (result.slowestMs > hangMs) {
    const message = `${turn} inputs took ${Math.round(result.slowestMs)} ms of CPU.`
    result.failure ??= { error: new Error(message), input: Uint8Array.from(input.bytes) }
  }
  return result
}

function cpuMs(): number {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1000
}
