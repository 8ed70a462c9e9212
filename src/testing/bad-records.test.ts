import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fromBinary } from '@bufbuild/protobuf'
import { TransactionBatchSchema } from '../record/gen/ledger/v1/ledger_pb.ts'
import { partitionCount } from '../record/layout.ts'
import { walkRecord } from '../record/walk.ts'
import { badRecordKinds, makeBadRecord, type BadRecordKind } from './bad-records.ts'
import { Random } from './random.ts'

const random = new Random(7)
const rounds = 300

for (const kind of badRecordKinds) {
  test(`no worker takes anything of a record that is ${kind}`, () => {
    for (let i = 0; i < rounds; i++) {
      const partition = random.below(partitionCount)
      const { bytes, isQuarantined } = makeBadRecord(kind, partition, random)
      const walked = walkRecord(
        new DataView(Uint8Array.from(bytes).buffer),
        0,
        bytes.length,
        partition,
      )
      if (isQuarantined) assert.equal(typeof walked, 'object', Buffer.from(bytes).toString('hex'))
      else assert.equal(walked, 0)
    }
  })
}

test('a misrouted record and an empty one are good to any other reader', () => {
  const entries = (kind: BadRecordKind): number =>
    fromBinary(TransactionBatchSchema, makeBadRecord(kind, 3, random).bytes).transactions.length
  assert(entries('wrong-partition') > 0)
  assert.equal(entries('empty'), 0)
})
