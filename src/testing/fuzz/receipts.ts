// Fuzzes receipts: their text as clients may change it, and their bytes as only the key could sign
// them.
// In:  bytes; the first says which of the two they are.
// Out: a Disagreement where a changed text is taken, or where numbers are read that are not there.
// Absent: endpoints.

import { createHmac } from 'node:crypto'
import { createReceipts, type Receipt } from '../../receipt/receipt.ts'
import { partitionCount } from '../../record/layout.ts'
import type { Random } from '../random.ts'
import { assertSame, bytesOf, Disagreement, type Target, type Verdict } from './target.ts'

const key = Buffer.from('a key that fuzzers sign with')
const receipts = createReceipts(key)
const log = 'a log'
const macBytes = 16
const numbersAt = 25

/** Texts that were given out: nothing else that begins with this byte may be taken. */
const asText = 0
/** Bytes that are signed here, and then read. */
const asSigned = 1

const given = new Set<string>()
const givenMax = 4096

export const receipt: Target = {
  name: 'receipt',
  title: 'receipts: only what was given out is taken, and it is read as it was written',
  files: ['receipt/receipt.ts', 'bytes/varint.ts'],
  dictionary: [
    ...bytesOf(['=', '==', '-', '_', '+', '/', 'A', 'AA', 'AAAA', ' ', '\n', '\0']),
    ...['00', '7f', '8000', '80', 'ff7f', 'ffffffffffffff0f', 'ffffffffffffff1f', '02', '03'].map(
      (hex) => Buffer.from(hex, 'hex'),
    ),
  ],
  generate,
  check,
}

function generate(random: Random): Uint8Array {
  const text = receipts.encode(log, recordsOf(random), {
    count: random.between(1, 5000),
    digest: random.uint32(),
  })
  if (random.chance(0.5)) {
    if (given.size < givenMax) given.add(text)
    return Buffer.concat([Buffer.of(asText), Buffer.from(text)])
  }
  const bytes = Buffer.from(text, 'base64url').subarray(0, -macBytes)
  return Buffer.concat([Buffer.of(asSigned), bytes])
}

function recordsOf(random: Random): { offsets: Float64Array; times: Float64Array } {
  const offsets = new Float64Array(partitionCount).fill(-1)
  const times = new Float64Array(partitionCount).fill(-1)
  const now = 1_790_000_000_000
  const base = random.chance(0.2) ? 2 ** 53 - 1000 : random.below(2 ** 40)
  const spread = random.pick([1, 100, 1000])
  const share = random.pick([0.01, 0.1, 1])
  const areAlike = random.chance(0.5)
  for (let p = 0; p < partitionCount; p += 1) {
    if (!random.chance(share)) continue
    offsets[p] = base + random.below(spread)
    times[p] = areAlike ? now : now + random.below(300)
  }
  return { offsets, times }
}

function check(input: Uint8Array): Verdict {
  const bytes = Buffer.from(input.buffer, input.byteOffset, input.byteLength)
  return bytes[0] === asSigned
    ? checkSigned(bytes.subarray(1))
    : checkText(bytes.toString('latin1', 1))
}

/** What was given out, and no other text. */
function checkText(text: string): Verdict {
  const found = receipts.decode(text)
  if (found.kind === 'malformed') {
    if (given.has(text)) throw new Disagreement('A receipt was refused.', found, 'as given out')
    return 'refused'
  }
  // The same text as long as its signature holds: it must be what the key gives for its bytes.
  const bytes = Buffer.from(text, 'base64url')
  const signed = sign(bytes.subarray(0, -macBytes))
  if (text !== signed) throw new Disagreement('A changed receipt was taken.', text, signed)
  return 'taken'
}

function checkSigned(bytes: Buffer): Verdict {
  const found = receipts.decode(sign(bytes))
  const expected = readReceipt(bytes)
  if (found.kind === 'malformed') {
    if (expected) throw new Disagreement('A receipt was refused.', found, 'taken')
    return 'refused'
  }
  if (!expected) throw new Disagreement('A receipt was taken.', textOf(found.receipt), 'refused')
  assertSame('what it says', textOf(found.receipt), expected)
  return 'taken'
}

function sign(bytes: Uint8Array): string {
  const mac = createHmac('sha256', key).update(bytes).digest().subarray(0, macBytes)
  return Buffer.concat([bytes, mac]).toString('base64url')
}

function textOf({ count, digest, records }: Receipt): string {
  const parts = [...records].map(([p, { offset, time }]) => `${p}:${offset}@${time}`)
  return `${count} ${digest} ${parts.join(' ')}`
}

/** The same by the layout in receipt.ts, with numbers of any length. */
function readReceipt(bytes: Buffer): string | undefined {
  if (bytes.length < numbersAt || bytes[0] !== 2) return undefined
  const numbers = varintsIn(bytes.subarray(numbersAt))
  if (numbers === undefined) return undefined
  const partitions = Array.from({ length: partitionCount }, (_, p) => p).filter(
    (p) => (bytes[9 + (p >> 3)] >> (p & 7)) & 1,
  )
  const [count, smallest, ...rest] = numbers
  const distances = rest.splice(0, partitions.length)
  const [earliest, ...delays] = rest
  if (distances.length < partitions.length) return undefined
  if (partitions.length > 0 && earliest === undefined) return undefined
  if (delays.length !== 0 && delays.length !== partitions.length) return undefined
  const places = partitions.map((p, i) => {
    return { p, offset: smallest + distances[i], time: earliest + (delays[i] ?? 0n) }
  })
  const all = [count, ...places.flatMap(({ offset, time }) => [offset, time])]
  if (all.some((value) => value === undefined || value >= 2n ** 53n)) return undefined
  const parts = places.map(({ p, offset, time }) => `${p}:${offset}@${time}`)
  return `${count} ${bytes.readUInt32BE(5)} ${parts.join(' ')}`
}

/** All varints that fill the bytes; undefined where something is left over. */
function varintsIn(bytes: Uint8Array): bigint[] | undefined {
  const numbers: bigint[] = []
  let [value, length] = [0n, 0]
  for (const byte of bytes) {
    value += BigInt(byte & 0x7f) << BigInt(7 * length)
    length += 1
    if (length > 10) return undefined
    if (byte >= 0x80) {
      if (length === 10) return undefined
      continue
    }
    numbers.push(value)
    ;[value, length] = [0n, 0]
  }
  return length === 0 ? numbers : undefined
}
