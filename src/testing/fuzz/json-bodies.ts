// Makes JSON batches in every spelling, and ones that are nearly right.
// In:  randomness.
// Out: bodies.
// Absent: any guarantee that they are taken (json-grammar.ts says).

import { requestItemsMax } from '../../limits.ts'
import { bytesOf } from './target.ts'
import type { Random } from '../random.ts'

const amounts = [
  ...['0', '-0', '1', '-1', '00', '01', '-01', '+1', '1.0', '1e3', '1E-3', '-', '--1', '.5', '1.'],
  ...['9007199254740991', '9007199254740992', '9007199254740993', '-9007199254740993'],
  ...['9223372036854775807', '9223372036854775808', '-9223372036854775808'],
  ...['-9223372036854775809', '99999999999999999999', '18446744073709551616'],
  ...['999999999999999', '1000000000000000', '-999999999999999', '9999999999999999'],
  ...['4294967295', '4294967296', '-4294967296', '2147483648', 'null', 'NaN', 'Infinity', 'true'],
  ...['1'.repeat(400), '0'.repeat(400), `1${'0'.repeat(18)}`, `1${'0'.repeat(19)}`],
]

/** UTF-8 in all the wrong shapes, and surrogates. */
const characters = ['\xc3\xa9', '\xc0\x80', '\xe2\x82', '\xed\xa0\x80', '\xf4\x90\x80\x80', '\xff']
const escapes = ['\\u0069', '\\u0000', '\\ud800', '\\udfff\\ud800', '\\u00e9', '\\x', '\\', '\\"']
const shortEscapes = ['\\/', '\\b', '\\f', '\\n', '\\r', '\\t', '\\\\', '\\u', '\\u12', '\\u 123']
const punctuation = ['{', '}', '[', ']', ',', ':', '"', '[]', '{}', '""', ',,', '}{', '][', '":"']
const keys = [
  '"id"',
  '"account_id"',
  '"amount"',
  '"Id"',
  '"amount "',
  '"i\\u0064"',
  '"\\u0061mount"',
]
const members = ['"id":', '"account_id":', '"amount":', ',"amount":1', '"id":"', '{"id":"', '","a']
const space = [' ', '\t', '\n', '\r', '\r\n', '\f', '\v', '\xa0', '\xef\xbb\xbf', '    ']
const uuids = ['00000000-0000-0000-0000-000000000000', 'FFFFFFFF-ffff-7FFF-bfff-ffffffffffff']
const words = ['null', 'true', 'false', '//', '/**/', "'", '\0']

export const jsonDictionary = bytesOf([
  ...[amounts, characters, escapes, shortEscapes, punctuation, keys, members, space].flat(),
  ...amounts.map((amount) => `"${amount}"`),
  ...[...uuids, ...uuids.map((each) => `"${each}"`), ...words],
])

export function makeBody(random: Random): Uint8Array {
  if (random.chance(0.0002)) return hugeBody(random)
  const count = random.chance(0.75) ? 1 : random.between(2, 4)
  const identities = Array.from({ length: count }, () => [uuidText(random), uuidText(random)])
  const isCompact = random.chance(0.4)
  const items = identities.map((own) => {
    const [id, account] = random.chance(0.1) ? identities[0] : own
    return isCompact ? compactItem(random, id, account) : anyItem(random, id, account)
  })
  const gap = isCompact ? '' : spaceText(random)
  return Buffer.from(`${gap}[${gap}${items.join(`${gap},${spaceText(random)}`)}]${gap}`, 'latin1')
}

function compactItem(random: Random, id: string, account: string): string {
  const amount = amountText(random)
  return `{"id":"${id}","account_id":"${account}","amount":${amount}}`
}

function anyItem(random: Random, id: string, account: string): string {
  const all = [
    [spelled(random, 'id'), spelled(random, id)],
    [spelled(random, 'account_id'), spelled(random, account)],
    [spelled(random, 'amount'), amountText(random)],
  ].map(([key, value]) => `${key}${spaceText(random)}:${spaceText(random)}${value}`)
  if (random.chance(0.5)) all.push(...all.splice(random.below(3), 1))
  if (random.chance(0.5)) all.reverse()
  if (random.chance(0.02)) all.push(all[0])
  if (random.chance(0.02)) all.pop()
  return `{${spaceText(random)}${all.join(`${spaceText(random)},`)}${spaceText(random)}}`
}

/** A string with some of its characters as escapes. */
function spelled(random: Random, text: string): string {
  if (random.chance(0.7)) return `"${text}"`
  const parts = Array.from(text, (character) => {
    if (random.chance(0.9)) return character
    const code = character.charCodeAt(0).toString(16).padStart(4, '0')
    return `\\u${random.chance(0.5) ? code : code.toUpperCase()}`
  })
  return `"${parts.join('')}"`
}

function spaceText(random: Random): string {
  return random.chance(0.85) ? '' : random.pick(space)
}

function uuidText(random: Random): string {
  const hex = Array.from({ length: 4 }, () => random.uint32().toString(16).padStart(8, '0')).join(
    '',
  )
  const text = hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-')
  return random.chance(0.8) ? text : text.toUpperCase()
}

function amountText(random: Random): string {
  const text = random.chance(0.8) ? String(anyAmount(random)) : random.pick(amounts)
  return random.chance(0.7) ? text : spelled(random, text)
}

/** Any number of digits is as likely as any other. */
function anyAmount(random: Random): bigint {
  return random.int64() >> BigInt(random.below(64))
}

/** As many items as there may be, one more, or one within another within another. */
function hugeBody(random: Random): Uint8Array {
  if (random.chance(0.3)) return Buffer.from(random.pick(['[', '{"id":', '[{']).repeat(20_000))
  const item = compactItem(random, uuidText(random), uuidText(random))
  const count = requestItemsMax + random.between(-1, 1)
  return Buffer.from(`[${Array.from({ length: count }, () => item).join(',')}]`, 'latin1')
}
