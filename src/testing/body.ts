// A batch as the body of a request, written without any of the program's code.
// In:  contents of a history.
// Out: JSON or protobuf bytes.
// Absent: HTTP; what is malformed (the parsers' own tests write that).

import type { History, SentBatch } from './history.ts'
import { writeUuidText } from './uuid-text.ts'

export type BodyFormat = 'json' | 'protobuf'

export const contentTypes = {
  json: 'application/json',
  protobuf: 'application/x-protobuf',
} as const satisfies Record<BodyFormat, string>

const opening = Buffer.from('{"id":"')
const between = Buffer.from('","account_id":"')
const beforeAmount = Buffer.from('","amount":')
/**
 * Everything of an item but its amount, which has at most 20 digits, 2 quotes, a brace and a comma.
 */
const jsonItemBytes = opening.length + between.length + beforeAmount.length + 72 + 24

export function encodeBody(history: History, batch: SentBatch, format: BodyFormat): Buffer {
  return format === 'json' ? jsonBody(history, batch) : protobufBody(history, batch)
}

/** Amounts alternate between integer tokens and strings of digits: both are the contract. */
function jsonBody(history: History, batch: SentBatch): Buffer {
  const body = Buffer.allocUnsafe(2 + batch.count * jsonItemBytes)
  let at = body.write('[')
  for (let i = batch.first; i < batch.first + batch.count; i++) {
    if (i > batch.first) body[at++] = 0x2c
    at += opening.copy(body, at)
    writeUuidText(body, at, history.ids, i * 16)
    at += 36
    at += between.copy(body, at)
    writeUuidText(body, at, history.accounts, i * 16)
    at += 36
    at += beforeAmount.copy(body, at)
    const amount = history.amountOf(i)
    at += body.write(i % 2 === 0 ? `${amount}}` : `"${amount}"}`, at, 'latin1')
  }
  at += body.write(']', at)
  return body.subarray(0, at)
}

/* TransactionBatch => *( 0A 2D 0A 10 id[16] 12 10 account_id[16] 19 amount[8, little endian] ) */
function protobufBody(history: History, batch: SentBatch): Buffer {
  const body = Buffer.allocUnsafe(batch.count * 47)
  let at = 0
  for (let i = batch.first; i < batch.first + batch.count; i++) {
    body.set([0x0a, 0x2d, 0x0a, 0x10], at)
    body.set(history.idOf(i), at + 4)
    body.set([0x12, 0x10], at + 20)
    body.set(history.accountOf(i), at + 22)
    body[at + 38] = 0x19
    body.writeBigInt64LE(history.amountOf(i), at + 39)
    at += 47
  }
  return body
}
