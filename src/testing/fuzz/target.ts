// What a fuzzer needs to know of what it tests.
// In:  nothing.
// Out: the shape of a target, and the error that ends a search.
// Absent: targets (targets.ts).

import type { Random } from '../random.ts'

export type Verdict = 'taken' | 'refused'

export interface Target {
  readonly name: string
  /** What it holds against each other, for people. */
  readonly title: string
  /** Source files below src/ whose branches inputs should reach. */
  readonly files: readonly string[]
  /** Pieces that mean something to it, for mutations to put in. */
  readonly dictionary: readonly Uint8Array[]
  /** An input that is well formed, or nearly. */
  generate(random: Random): Uint8Array
  /**
   * Hands the input to the program and to a reference; with `isThorough` to every reference, some
   * of which take ten times as long.
   *
   * @throws anything, but above all Disagreement, when the program does what it must not
   */
  check(input: Uint8Array, isThorough: boolean): Verdict
}

/** The program and the reference say different things of one input. */
export class Disagreement extends Error {
  constructor(what: string, program: unknown, reference: unknown) {
    super(`${what}\n  program:   ${shown(program)}\n  reference: ${shown(reference)}`)
  }
}

/** Cheap where both are alike, as they are but for the last input of all. */
export function assertSame(what: string, program: unknown, reference: unknown): void {
  if (Object.is(program, reference)) return
  throw new Disagreement(what, program, reference)
}

function shown(value: unknown): string {
  const text = JSON.stringify(value, (_, each: unknown) =>
    typeof each === 'bigint' ? `${each}n` : each,
  )
  return text === undefined ? 'undefined' : text
}

/** Words as bytes, for dictionaries. */
export function bytesOf(words: readonly string[]): Uint8Array[] {
  return words.map((word) => Buffer.from(word, 'latin1'))
}
