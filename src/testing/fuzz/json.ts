// Fuzzes the scanner of JSON batches against its grammar and against JSON.parse.
// In:  bodies.
// Out: a Disagreement where verdict, items or fault differ.
// Absent: the references (json-grammar.ts, json-parsed.ts).

import assert from 'node:assert/strict'
import { RequestBatch } from '../../batch/batch.ts'
import type { parseJson } from '../../batch/parse-json.ts'
import { accountIdAt, entryBytes } from '../../record/layout.ts'
import { partitionOf } from '../../record/partition.ts'
import { jsonDictionary, makeBody } from './json-bodies.ts'
import { readJson } from './json-grammar.ts'
import { readParsed } from './json-parsed.ts'
import { assertSame, Disagreement, type Target, type Verdict } from './target.ts'

const batch = new RequestBatch()

/** @param parse the scanner, or one that is wrong on purpose */
export function jsonTarget(parse: typeof parseJson): Target {
  return {
    name: 'json',
    title: 'the scanner of JSON batches, its grammar, and JSON.parse',
    files: ['batch/parse-json.ts', 'batch/json-item.ts', 'batch/json-text.ts', 'bytes/int64.ts'],
    dictionary: jsonDictionary,
    generate: makeBody,
    check: (body, isThorough) => check(parse, body, isThorough),
  }
}

function check(parse: typeof parseJson, body: Uint8Array, isThorough: boolean): Verdict {
  const fault = parse(body, batch)
  const reading = readJson(body)
  if (fault === undefined) {
    if ('fault' in reading) throw new Disagreement('A body was taken.', 'taken', reading.fault)
    checkEntries(reading.entries)
    if (isThorough) assert.deepEqual(readParsed(body), reading.entries)
    return 'taken'
  }
  if ('entries' in reading) throw new Disagreement('A body was refused.', fault, 'taken')
  const { index, field, position, expected } = reading.fault
  assertSame('index', fault.index, index)
  assertSame('field', fault.field, field)
  assertSame('position', fault.position, position)
  assertSame('expected', fault.expected, expected)
  if (!/^[ -~…]{1,40}$/.test(fault.found)) {
    throw new Disagreement('found', fault.found, '1 to 40 printable characters')
  }
  assertSame('count after a fault', batch.count, 0)
  if (isThorough) assertSame('JSON.parse', undefined, readParsed(body))
  return 'refused'
}

function checkEntries(expected: Uint8Array): void {
  const found = batch.entries.subarray(0, batch.count * entryBytes)
  if (Buffer.compare(found, expected) !== 0) {
    const [program, reference] = [found, expected].map((each) => Buffer.from(each).toString('hex'))
    throw new Disagreement('Entries differ.', program, reference)
  }
  const view = new DataView(found.buffer, found.byteOffset, found.byteLength)
  for (let i = 0; i < batch.count; i += 1) {
    const partition = partitionOf(view, i * entryBytes + accountIdAt)
    assertSame('partition', batch.partitions[i], partition)
  }
}
