// Makes TransactionBatches in every encoding, and ones that are nearly right.
// In:  randomness.
// Out: bytes.
// Absent: any guarantee that they are taken (wire-grammar.ts says).

import { requestItemsMax } from '../../limits.ts'
import { partitionCount } from '../../record/layout.ts'
import { partitionOf } from '../../record/partition.ts'
import type { Random } from '../random.ts'

/** Tags of every wire type and of fields that are not ours; lengths that no input has. */
const tags = ['08', '09', '0a', '0b', '0c', '0d', '0e', '0f', '10', '11', '12', '13', '14', '15']
const moreTags = ['18', '19', '1a', '1b', '1c', '1d', '20', '22', '00', '02', '8a00', '8a808000']
const tooLongTags = ['8a8080808000', '8a80808010', 'faffffff7f', 'ffffffffff01', '92808080808000']
const lengths = ['7f', '8001', 'ff7f', 'ffff03', 'ffffffff07', 'ffffffff0f', '8080808010']
const hugeLengths = ['ffffffffffffffff7f', 'ffffffffffffffffff01', '80808080808080808002']
const overlong = ['90808080808080808000', '9000', 'ad00', 'ad8080808000', '8080808080808080808000']
const groups = ['0b0c', '0b0b0c0c', '0b0a00', '1b1c', '13'.repeat(40), '0b'.repeat(300)]
const pieces = [
  '0a2d0a10',
  '1210',
  '19',
  '0a10',
  '0a00',
  '1200',
  '0a0f',
  '1211',
  '190000000000000080',
]

export const wireDictionary = [
  ...[tags, moreTags, tooLongTags, lengths, hugeLengths, overlong, groups, pieces].flat(),
].map((hex) => Buffer.from(hex, 'hex'))

/** Accounts of one partition, so that a record of several of them may be one of its own. */
const onePartition = 7
const ofOnePartition = accountsOfOnePartition()

export function partitionOfAccount(account: Uint8Array): number {
  return partitionOf(new DataView(account.buffer, account.byteOffset, account.byteLength), 0)
}

function accountsOfOnePartition(): Uint8Array[] {
  const accounts: Uint8Array[] = []
  for (let n = 0; accounts.length < 8 && n < 64 * partitionCount; n += 1) {
    const account = Buffer.alloc(16)
    account.writeUInt32BE(n)
    if (partitionOfAccount(account) === onePartition) accounts.push(account)
  }
  return accounts
}

export function makeBatch(random: Random): Uint8Array {
  const count = countOf(random)
  const isCanonical = random.chance(0.3)
  const one = makeEntry(random, isCanonical)
  if (count > 8) return Buffer.concat(Array.from({ length: count }, () => one))
  const entries = Array.from({ length: count }, () => makeEntry(random, isCanonical))
  if (random.chance(0.1)) entries.push(one, one)
  return Buffer.concat(entries)
}

function countOf(random: Random): number {
  if (random.chance(0.0002)) return requestItemsMax + random.between(-1, 1)
  return random.chance(0.5) ? 1 : random.between(0, 4)
}

function makeEntry(random: Random, isCanonical: boolean): Uint8Array {
  const id = bytesOf(random, 16)
  const account = random.chance(0.6) ? random.pick(ofOnePartition) : bytesOf(random, 16)
  const fields = [
    field(random, '0a', id, isCanonical),
    field(random, '12', account, isCanonical),
    Buffer.concat([Buffer.of(0x19), bytesOf(random, 8)]),
  ]
  if (!isCanonical) {
    if (random.chance(0.5)) fields.reverse()
    if (random.chance(0.3)) fields.push(...fields.splice(random.below(3), 1))
    // What comes before the last of its kind does not count, whatever it is.
    if (random.chance(0.2)) fields.unshift(field(random, '0a', bytesOf(random, 3), false))
    if (random.chance(0.2)) fields.unshift(field(random, '12', bytesOf(random, 20), false))
    if (random.chance(0.03)) fields.pop()
    if (random.chance(0.03)) fields.push(random.pick(wireDictionary))
  }
  return field(random, '0a', Buffer.concat(fields), isCanonical)
}

/** Tag, length and value; tag and length may be padded. */
function field(random: Random, tag: string, value: Uint8Array, isCanonical: boolean): Buffer {
  const padding = isCanonical || random.chance(0.8) ? 0 : random.between(1, 9)
  const tagPadding = isCanonical || random.chance(0.95) ? 0 : random.between(1, 5)
  const tagBytes = padded([Number.parseInt(tag, 16)], tagPadding)
  return Buffer.concat([tagBytes, padded(varint(value.length), padding), value])
}

function varint(value: number): number[] {
  return value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...varint(value >>> 7)]
}

function padded(bytes: number[], padding: number): Buffer {
  if (padding === 0) return Buffer.from(bytes)
  const last = bytes.length - 1
  return Buffer.from([
    ...bytes.slice(0, last),
    bytes[last] | 0x80,
    ...Array<number>(padding - 1).fill(0x80),
    0,
  ])
}

function bytesOf(random: Random, length: number): Uint8Array {
  const bytes = new Uint8Array(length)
  random.fill(bytes)
  return bytes
}
