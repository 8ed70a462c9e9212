// Fuzzes the cursors of listings and of the changes: words that any client may make up.
// In:  bytes; the first says which kind of cursor the rest is to be.
// Out: a Disagreement where what is no cursor is taken, or one says something else than it holds.
// Absent: SQL.

import { createHash } from 'node:crypto'
import type { HttpRequest } from '../../http/http.ts'
import { isConflictKey } from '../../ledger/conflicts.ts'
import { isMoment, momentLiteral } from '../../ledger/moment.ts'
import { quarantineKey, quarantinePosition } from '../../ledger/quarantine.ts'
import { ChangesCursors } from '../../query/changes-cursor.ts'
import { cursorOf, encodeCursor } from '../../query/cursor.ts'
import { partitionCount } from '../../record/layout.ts'
import type { Random } from '../random.ts'
import { assertSame, bytesOf, Disagreement, type Target, type Verdict } from './target.ts'
import { unlessRefused } from './refusal.ts'

const ledger = 'a ledger'
const cursors = new ChangesCursors(ledger)
const fingerprint = createHash('sha256').update(ledger).digest().subarray(0, 4)

const listings = ['account', 'conflicts', 'quarantine'] as const
const kinds = [...listings, 'changes'] as const
type Listing = (typeof listings)[number]

/** Kinds of inputs after those: the same words, and not their bytes, for mutations of the text. */
const asWords = 0x80

export const cursor: Target = {
  name: 'cursor',
  title: 'cursors: of listings, and of the changes',
  files: ['query/cursor.ts', 'query/changes-cursor.ts', 'ledger/moment.ts'],
  dictionary: [
    ...bytesOf(['=', '+', '/', '-', '_', ' ', '-', '000', '128', '127', '999', "'", '\\', '\0']),
    ...bytesOf(['9223372036854775807', '9223372036854775808', '18446744073709551616']),
    ...['00', '80', '8000', 'ffffffffffffff0f', 'ffffffffffffffffff01', '7ff0000000000000'].map(
      (hex) => Buffer.from(hex, 'hex'),
    ),
    ...['fff0000000000000', '7ff8000000000000', '433fffffffffffff', '43dffffffffffffe'].map((hex) =>
      Buffer.from(hex, 'hex'),
    ),
  ],
  generate,
  check,
}

function generate(random: Random): Uint8Array {
  const kind = random.below(kinds.length)
  const name = kinds[kind]
  const word = name === 'changes' ? changesWord(random) : listingWord(random, name)
  if (random.chance(0.3)) return Buffer.concat([Buffer.of(kind | asWords), Buffer.from(word)])
  return Buffer.concat([Buffer.of(kind), Buffer.from(word, 'base64url')])
}

function listingWord(random: Random, listing: Listing): string {
  const digits = (count: number): string =>
    Array.from({ length: count }, () => random.below(10)).join('')
  const uuid = [8, 4, 4, 4, 12].map((length) => hex(random, length)).join('-')
  const positions = {
    account: Buffer.from(hex(random, 32), 'hex'),
    conflicts: Buffer.from(`${digits(18)} ${uuid} ${uuid} 0${digits(19)}`),
    quarantine: Buffer.from(`0${digits(2)} 0${digits(18)} ${random.pick(['log', '', 'ü "\'\\'])}`),
  }
  return encodeCursor(listing, {
    position: positions[listing],
    isBackward: random.chance(0.5),
  })
}

function hex(random: Random, length: number): string {
  return Array.from({ length }, () => random.below(16).toString(16)).join('')
}

function changesWord(random: Random): string {
  const count = random.pick([1, 2, 5, 128])
  const base = random.pick([0, 8e14, -6e16, 8.9e18, 2 ** 53])
  const moment = (): number => {
    if (random.chance(0.2)) return -Infinity
    return base + Math.floor(random.fraction() * random.pick([10, 1e7, 1e17])) - 5
  }
  const moments = Array.from({ length: count }, (_, p) => [p, moment()] as const)
  return cursors.encode(new Map(moments.filter(([, each]) => isMoment(each))))
}

function check(input: Uint8Array): Verdict {
  const bytes = Buffer.from(input.buffer, input.byteOffset, input.byteLength)
  const first = bytes.length === 0 ? 0 : bytes[0]
  const word = bytes.toString((first & asWords) === 0 ? 'base64url' : 'latin1', 1)
  const kind = kinds[(first & ~asWords) % kinds.length]
  return kind === 'changes' ? checkChanges(word) : checkListing(word, kind)
}

/** As the endpoints ask for them, and what their SQL then relies on. */
const positionChecks: Record<Listing, (bytes: Uint8Array) => boolean> = {
  account: ({ length }) => length === 16,
  conflicts: (bytes) => isConflictKey(Buffer.from(bytes).toString('latin1')),
  quarantine: (bytes) => {
    const key = Buffer.from(bytes).toString()
    const position = quarantinePosition(key)
    return position !== undefined && quarantineKey(position) === key
  },
}

const uuid = '[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}'
const positionShapes: Record<Listing, RegExp> = {
  account: /^.{16}$/s,
  conflicts: new RegExp(`^[0-9]{18} ${uuid} ${uuid} [0-9]{20}$`),
  quarantine: /^(0[0-9]{2}|1[01][0-9]|12[0-7]) [0-9]{19} [^\0]*$/s,
}

function checkListing(word: string, listing: Listing): Verdict {
  const request = { query: new URLSearchParams([['cursor', word]]) } as HttpRequest
  const found = unlessRefused(() => cursorOf(request, listing, positionChecks[listing]))
  if (found === undefined) {
    const bytes = Buffer.from(word, 'base64url')
    const wanted = isCursorOf(word, bytes, listing)
    if (wanted) throw new Disagreement('A cursor was refused.', word, 'taken')
    return 'refused'
  }
  assertSame('the same position again', encodeCursor(listing, found), word)
  const text = Buffer.from(found.position).toString('latin1')
  if (!isPosition(text, listing)) {
    throw new Disagreement('A cursor was taken.', text, `a position in ${listing}`)
  }
  return 'taken'
}

function isCursorOf(word: string, bytes: Buffer, listing: Listing): boolean {
  const head = [2, bytes[1], ...createHash('sha256').update(listing).digest().subarray(0, 4)]
  return (
    bytes.toString('base64url') === word &&
    bytes.subarray(0, 6).equals(Buffer.from(head)) &&
    bytes[1] <= 1 &&
    isPosition(bytes.toString('latin1', 6), listing)
  )
}

function isPosition(text: string, listing: Listing): boolean {
  if (!positionShapes[listing].test(text)) return false
  if (listing === 'account') return true
  if (listing === 'conflicts') return BigInt(text.slice(-20)) < 2n ** 64n
  return BigInt(text.slice(4, 23)) < 2n ** 63n
}

function checkChanges(word: string): Verdict {
  const found = cursors.decode(word)
  const expected = readChanges(word)
  if (typeof expected === 'string') {
    assertSame('what it is', found.kind, expected)
    return 'refused'
  }
  if (found.kind !== 'cursor') throw new Disagreement('A cursor was refused.', word, 'taken')
  const [program, reference] = [found.moments, expected].map((moments) => [...moments].join(' '))
  assertSame('moments', program, reference)
  // It goes on as it came, and into SQL.
  const again = cursors.decode(cursors.encode(found.moments))
  if (again.kind !== 'cursor') throw new Disagreement('Its own cursor was refused.', word, 'taken')
  assertSame('the same moments again', [...again.moments].join(' '), reference)
  for (const moment of found.moments.values()) {
    if (moment !== -Infinity && !/^\(?timestamptz '[-0-9T:.Z+ ]+'/.test(momentLiteral(moment))) {
      throw new Disagreement('SQL', momentLiteral(moment), 'a time')
    }
  }
  return 'taken'
}

/** The same by the layout in changes-cursor.ts, with exact numbers where there are any. */
function readChanges(word: string): Map<number, number> | 'malformed' | 'foreign' {
  const bytes = Buffer.from(word, 'base64url')
  if (bytes.toString('base64url') !== word || bytes.length < 29) return 'malformed'
  if (bytes[0] !== 1 && bytes[0] !== 2) return 'malformed'
  if (!bytes.subarray(1, 5).equals(fingerprint)) return 'foreign'
  const partitions = Array.from({ length: partitionCount }, (_, p) => p).filter(
    (p) => (bytes[5 + (p >> 3)] >> (p & 7)) & 1,
  )
  const values =
    bytes[0] === 2 ? doublesIn(bytes.subarray(29)) : distancesIn(bytes, bytes.readDoubleBE(21))
  if (partitions.length === 0 || values?.length !== partitions.length) return 'malformed'
  if (!values.every(isMoment)) return 'malformed'
  return new Map(partitions.map((p, i) => [p, values[i]]))
}

function doublesIn(bytes: Buffer): number[] | undefined {
  if (bytes.length % 8 !== 0) return undefined
  return Array.from({ length: bytes.length / 8 }, (_, i) => bytes.readDoubleBE(i * 8))
}

function distancesIn(bytes: Buffer, base: number): number[] | undefined {
  const values: number[] = []
  let [value, length] = [0n, 0]
  for (const byte of bytes.subarray(29)) {
    value += BigInt(byte & 0x7f) << BigInt(7 * length)
    length += 1
    if (length === 10 && byte >= 0x80) return undefined
    if (byte >= 0x80) continue
    values.push(value === 0n ? -Infinity : base + (Number(value) - 1))
    ;[value, length] = [0n, 0]
  }
  return length === 0 ? values : undefined
}
