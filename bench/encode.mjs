// The steps between a scanned item and its place in a slab, each alone: nanoseconds an item.
// Run: npm run compile && node bench/encode.mjs

import { randomBytes } from 'node:crypto'
import { readInt64 } from '../dist/bytes/int64.js'
import { readUuid } from '../dist/bytes/uuid.js'
import { RequestBatch } from '../dist/batch/batch.js'
import { parseProtobuf } from '../dist/batch/parse-protobuf.js'
import { Repeats } from '../dist/batch/repeats.js'
import { writeEntryFrame } from '../dist/record/encode.js'
import { accountIdAt, amountAt, entryBytes, idAt } from '../dist/record/layout.js'
import { partitionOf } from '../dist/record/partition.js'
import { walkRecord } from '../dist/record/walk.js'
import { uuidText } from './load/random.mjs'
import { compare } from './support/rounds.mjs'

const items = 5000
const textBytes = 36 + 36 + 6
const parts = Array.from({ length: items }, (_, index) => {
  const amount = String(100_000 + ((index * 7919) % 900_000))
  return uuidText(randomBytes(16)) + uuidText(randomBytes(16)) + amount
})
const text = Buffer.from(parts.join(''))
const source = new DataView(text.buffer, text.byteOffset, text.length)
const target = new Uint8Array(items * entryBytes)
const entries = new DataView(target.buffer)
const repeats = new Repeats()
const into = new RequestBatch()

function readUuids() {
  for (let i = 0; i < items; i++) {
    readUuid(source, i * textBytes, entries, i * entryBytes + idAt)
    readUuid(source, i * textBytes + 36, entries, i * entryBytes + accountIdAt)
  }
}

function readAmounts() {
  for (let i = 0; i < items; i++) {
    const at = i * textBytes + 72
    readInt64(source, at, at + 6, entries, i * entryBytes + amountAt)
  }
}

function writeFrames() {
  for (let i = 0; i < items; i++) writeEntryFrame(entries, i * entryBytes)
}

function findRepeats() {
  repeats.begin()
  for (let i = 0; i < items; i++) repeats.add(entries, i)
}

const slabs = Array.from({ length: 128 }, () => new DataView(new ArrayBuffer(64 * 1024)))
const ends = new Int32Array(128)

/**
 * Copies every entry to the end of the slab of its partition, in words of which the last two
 * overlap.
 */
function append() {
  ends.fill(0)
  for (let i = 0; i < items; i++) {
    const partition = into.partitions[i]
    const slab = slabs[partition]
    const at = i * entryBytes
    const end = ends[partition]
    for (let word = 0; word < 44; word += 4) slab.setInt32(end + word, entries.getInt32(at + word))
    slab.setInt32(end + 43, entries.getInt32(at + 43))
    ends[partition] = end + entryBytes
  }
}

readUuids()
readAmounts()
writeFrames()
if (parseProtobuf(target, into) !== undefined) throw new Error('not canonical')

compare('from text to canonical entries', items, {
  'two UUIDs': readUuids,
  'amount of 6 digits': readAmounts,
  'tags and lengths': writeFrames,
  'look for repeats': findRepeats,
  'copy to a slab': append,
})

// A record holds one partition, so here every account is the same.
for (let i = 0; i < items; i++)
  target.copyWithin(i * entryBytes + accountIdAt, accountIdAt, accountIdAt + 16)
const partition = partitionOf(entries, accountIdAt)
const foreign = new Uint8Array(items * (entryBytes + 1))
for (let i = 0; i < items; i++) {
  const at = i * (entryBytes + 1)
  foreign.set([0x0a, 0xad, 0x00], at)
  foreign.set(target.subarray(i * entryBytes + 2, (i + 1) * entryBytes), at + 3)
}
const record = new Uint8Array(foreign.length)
const recordView = new DataView(record.buffer)

compare('from wire bytes', items, {
  'parse a canonical body': () => parseProtobuf(target, into),
  'walk a canonical record': () => walkRecord(entries, 0, target.length, partition),
  'rewrite a foreign record': () => {
    record.set(foreign)
    walkRecord(recordView, 0, record.length, partition)
  },
})
