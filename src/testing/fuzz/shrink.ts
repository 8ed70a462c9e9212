// Makes an input that fails as small as it gets while it fails.
// In:  a target, an input that it fails on.
// Out: a smaller one, which it fails on as well.
// Absent: telling one failure from another.

import type { Target } from './target.ts'

const attemptsMax = 20_000

/** Takes out pieces, halves first, single bytes last; then makes what is left plain. */
export function shrink(target: Target, input: Uint8Array): Uint8Array {
  let smallest = input
  let attempts = 0
  const keep = (candidate: Uint8Array): boolean => {
    attempts += 1
    if (attempts > attemptsMax || !fails(target, candidate)) return false
    smallest = candidate
    return true
  }
  for (let size = smallest.length >> 1; size >= 1; size >>= 1) {
    for (let at = 0; at < smallest.length;) {
      if (!keep(without(smallest, at, size))) at += size
    }
  }
  for (let at = 0; at < smallest.length; at += 1) {
    const plain = Uint8Array.from(smallest)
    plain[at] = 0x30
    if (smallest[at] !== 0x30) keep(plain)
  }
  return smallest
}

function without(bytes: Uint8Array, at: number, size: number): Uint8Array {
  return Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + size)])
}

function fails(target: Target, input: Uint8Array): boolean {
  try {
    target.check(input, true)
    return false
  } catch {
    return true
  }
}
