// A JSON body to canonical entries: our scanner, and JSON.parse with a walk over its objects, which
// do the same work on the same bodies in turn.
// Run: npm run compile && node bench/scanner.mjs

import { randomBytes } from 'node:crypto'
import { readUuid } from '../dist/bytes/uuid.js'
import { RequestBatch } from '../dist/batch/batch.js'
import { parseJson } from '../dist/batch/parse-json.js'
import { Repeats } from '../dist/batch/repeats.js'
import { accountIdAt, amountAt, entryBytes, idAt } from '../dist/record/layout.js'
import { writeEntryFrame } from '../dist/record/encode.js'
import { partitionOf } from '../dist/record/partition.js'
import { uuidText } from './load/random.mjs'
import { compare } from './support/rounds.mjs'

const items = 5000
const repeats = new Repeats()
const into = new RequestBatch()
const view = new DataView(into.entries.buffer)

const text = new DataView(new ArrayBuffer(36))
const textBytes = Buffer.from(text.buffer)

function readUuidString(value, at) {
  if (typeof value !== 'string' || value.length !== 36) throw new Error('uuid')
  textBytes.latin1Write(value, 0)
  if (!readUuid(text, 0, view, at)) throw new Error('uuid')
}

/** What the scanner replaces, with our own steps wherever they fit. Digits beyond 2^53 are lost. */
function parseAndWalk(body) {
  const batch = JSON.parse(body.toString('utf8'))
  repeats.begin()
  for (let index = 0; index < batch.length; index++) {
    const { id, account_id: accountId, amount } = batch[index]
    const at = index * entryBytes
    writeEntryFrame(view, at)
    readUuidString(id, at + idAt)
    readUuidString(accountId, at + accountIdAt)
    const value = Number(amount)
    if (!Number.isInteger(value)) throw new Error('amount')
    view.setInt32(at + amountAt, value, true)
    view.setInt32(at + amountAt + 4, Math.floor(value / 2 ** 32), true)
    into.partitions[index] = partitionOf(view, at + accountIdAt)
    if (repeats.add(view, index) !== undefined) throw new Error('repeat')
  }
  into.count = batch.length
}

function scan(body) {
  const fault = parseJson(body, into)
  if (fault !== undefined) throw new Error(JSON.stringify(fault))
}

const batch = Array.from({ length: items }, (_, index) => ({
  id: uuidText(randomBytes(16)),
  account_id: uuidText(randomBytes(16)),
  amount: (index * 7919) % 1_000_000,
}))
const compact = JSON.stringify(batch)
const bodies = {
  compact,
  'compact, amounts as strings': compact.replace(/"amount":(\d+)/g, '"amount":"$1"'),
  'compact, 19 digits': compact.replace(/"amount":\d+/g, '"amount":9223372036854775807'),
  'a space after : and ,': compact.replace(/[:,]/g, '$& '),
  'indented by two': JSON.stringify(batch, null, 2),
}

for (const [name, body] of Object.entries(bodies)) {
  const bytes = Buffer.from(body)
  compare(`${name}, ${Math.round(bytes.length / items)} bytes an item`, items, {
    scanner: () => scan(bytes),
    'JSON.parse and walk': () => parseAndWalk(bytes),
    'JSON.parse alone': () => JSON.parse(bytes.toString('utf8')),
  })
}
