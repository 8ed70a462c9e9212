// Changes an input in one of the ways that parsers have tripped over.
// In:  an input, a target's dictionary, another input to take pieces from.
// Out: the input, changed in one to four places.
// Absent: knowing what the bytes mean (the generators of the targets do).

import type { Random } from '../random.ts'
import type { Input } from './input.ts'

/** Bytes at which something changes: signs, ends of ranges, starts of UTF-8 sequences, controls. */
const edges = [0, 1, 8, 9, 0x0a, 0x0d, 0x1f, 0x20, 0x22, 0x2d, 0x2f, 0x30, 0x39, 0x3a, 0x5b, 0x5c]
const moreEdges = [0x5d, 0x7b, 0x7d, 0x7f, 0x80, 0xbf, 0xc0, 0xc2, 0xe2, 0xed, 0xef, 0xf4, 0xff]
const interesting = [...edges, ...moreEdges]

const nothing = new Uint8Array(0)
const runLengths = [2, 3, 8, 17, 33, 64, 65, 127, 300]
const pieceBytesMax = 48

export function mutate(
  input: Input,
  random: Random,
  dictionary: readonly Uint8Array[],
  other: Uint8Array,
): void {
  // Mostly one change: with more of them hardly anything is taken any more.
  let changes = 1
  while (changes < 4 && random.chance(0.25)) changes += 1
  for (let i = 0; i < changes; i += 1) changeOnce(input, random, dictionary, other)
}

function changeOnce(
  input: Input,
  random: Random,
  dictionary: readonly Uint8Array[],
  other: Uint8Array,
): void {
  const at = random.below(input.length + 1)
  switch (random.below(14)) {
    case 0:
      input.setByte(at, input.byteAt(at) ^ (1 << random.below(8)))
      return
    case 1:
      input.setByte(at, random.pick(interesting))
      return
    case 2:
      input.setByte(at, random.below(256))
      return
    case 3:
      input.setByte(at, input.byteAt(at) + random.between(-3, 3))
      return
    case 4:
      input.splice(at, 0, Uint8Array.of(random.pick(interesting)))
      return
    case 5:
    case 6:
      input.splice(at, 0, random.pick(dictionary))
      return
    case 7:
    case 8:
      input.splice(at, random.between(1, 6), random.pick(dictionary))
      return
    case 9:
      input.splice(at, random.between(1, random.chance(0.8) ? 3 : pieceBytesMax), nothing)
      return
    case 10:
      input.splice(at, random.chance(0.5) ? 0 : random.below(8), pieceOf(other, random))
      return
    case 11:
      input.splice(at, 0, pieceOf(input.bytes, random))
      return
    case 12:
      input.splice(at, 0, runOf(random, dictionary))
      return
    default:
      input.cut(at)
  }
}

function pieceOf(bytes: Uint8Array, random: Random): Uint8Array {
  const from = random.below(bytes.length + 1)
  return bytes.slice(from, from + random.between(1, pieceBytesMax))
}

/** The same piece again and again: nesting, endless numbers, white space. */
function runOf(random: Random, dictionary: readonly Uint8Array[]): Uint8Array {
  const piece = random.chance(0.5)
    ? Uint8Array.of(random.pick(interesting))
    : random.pick(dictionary)
  const run = new Uint8Array(piece.length * random.pick(runLengths))
  for (let at = 0; at < run.length; at += piece.length) run.set(piece, at)
  return run
}
