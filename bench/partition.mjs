// The partition of an account, by the hash PostgreSQL itself uses: nanoseconds an account.
// Run: npm run compile && node bench/partition.mjs

import { randomFillSync } from 'node:crypto'
import { partitionOf } from '../dist/record/partition.js'
import { compare } from './support/rounds.mjs'

const items = 5000
const accounts = randomFillSync(new Uint8Array(items * 16))
const view = new DataView(accounts.buffer)
let checksum = 0

/** Reads the words as partitionOf does, and adds them: what the loads alone cost. */
function loadOnly() {
  let sum = 0
  for (let i = 0; i < items; i++) {
    const at = i * 16
    sum += view.getInt32(at, true) ^ view.getInt32(at + 4, true)
    sum += view.getInt32(at + 8, true) ^ view.getInt32(at + 12, true)
  }
  checksum += sum
}

function partitions() {
  let sum = 0
  for (let i = 0; i < items; i++) sum += partitionOf(view, i * 16)
  checksum += sum
}

compare('partition of an account', items, { 'four loads': loadOnly, partitionOf: partitions })
// Used, so that no compiler finds the loops useless.
if (!Number.isFinite(checksum)) throw new Error('no sum')
