import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire'
import fc from 'fast-check'
import { anyEncodedBatch, anyEntry, readBatch } from '../testing/encodings.ts'
import { encodeBatch, type Entry } from './encode.ts'
import { faultText } from './fault.ts'
import { accountIdAt, amountAt, entryBytes, idAt } from './layout.ts'
import { partitionOf } from './partition.ts'
import { walkRecord } from './walk.ts'

const recordAt = 1000
const ringBytes = 4096

/** An entry whose account_id belongs to partition 5. */
const entry: Entry = {
  id: Buffer.from('0190b6e5f00d7abc8def0123456789ab', 'hex'),
  accountId: accountOf(5, new Uint8Array(16)),
  amount: -2n,
}

/** The account_id with its first bytes counted up until it belongs to the partition. */
function accountOf(partition: number, accountId: Uint8Array): Uint8Array {
  const account = Uint8Array.from(accountId)
  const view = new DataView(account.buffer)
  while (partitionOf(view, 0) !== partition) view.setUint32(0, view.getUint32(0) + 1)
  return account
}

interface Walked {
  entries: Entry[]
  /** The ring after the walk. */
  ring: Uint8Array
}

/** Walks a record in the middle of a shared ring. */
function walk(record: Uint8Array, partition: number): Walked | string {
  const ring = new Uint8Array(new SharedArrayBuffer(ringBytes)).fill(0xee)
  ring.set(record, recordAt)
  const view = new DataView(ring.buffer)
  const count = walkRecord(view, recordAt, recordAt + record.length, partition)
  const isOutsideUntouched = ring.every(
    (byte, at) => byte === 0xee || (at >= recordAt && at < recordAt + record.length),
  )
  assert(isOutsideUntouched, 'no byte outside of the record changes')
  if (typeof count !== 'number') {
    const after = ring.subarray(recordAt, recordAt + record.length)
    assert.deepEqual(Buffer.from(after), Buffer.from(record))
    return faultText(count)
  }
  const entries = Array.from({ length: count }, (_, index) => {
    const at = recordAt + index * entryBytes
    return {
      id: ring.slice(at + idAt, at + idAt + 16),
      accountId: ring.slice(at + accountIdAt, at + accountIdAt + 16),
      amount: view.getBigInt64(at + amountAt, true),
    }
  })
  return { entries, ring }
}

function checkRefused(record: Uint8Array, reason: string): void {
  assert.equal(walk(record, 5), reason)
  assert.equal(readBatch(record), undefined)
}

function walkedEntries(record: Uint8Array, partition: number): Entry[] {
  const walked = walk(record, partition)
  if (typeof walked === 'string') assert.fail(walked)
  return walked.entries
}

/** Bytes of one entry, its tag and length included. */
function entryOf(write: (writer: BinaryWriter) => void): Uint8Array {
  const writer = new BinaryWriter().tag(1, WireType.LengthDelimited).fork()
  write(writer)
  return writer.join().finish()
}

const writeId = (writer: BinaryWriter, id = entry.id) =>
  writer.tag(1, WireType.LengthDelimited).bytes(id)
const writeAccount = (writer: BinaryWriter, id = entry.accountId) =>
  writer.tag(2, WireType.LengthDelimited).bytes(id)
const writeAmount = (writer: BinaryWriter) => writer.tag(3, WireType.Bit64).sfixed64(entry.amount)

const entryOfPartition5 = anyEntry.map((each) => ({
  ...each,
  accountId: accountOf(5, each.accountId),
}))
const batchOfPartition5 = anyEncodedBatch(entryOfPartition5)

test('a canonical record is read where it stands, and not written to', () => {
  fc.assert(
    fc.property(fc.array(entryOfPartition5, { maxLength: 20 }), (entries) => {
      const record = encodeBatch(entries)
      const walked = walk(record, 5)
      assert(typeof walked !== 'string')
      assert.deepEqual(walked.entries, entries)
      assert.deepEqual(walked.ring.slice(recordAt, recordAt + record.length), record)
    }),
    { numRuns: 50 },
  )
})

test('every other encoding of a batch reads the same', () => {
  fc.assert(
    fc.property(batchOfPartition5, ({ entries, bytes }) => {
      assert.deepEqual(readBatch(bytes), entries)
      assert.deepEqual(walkedEntries(bytes, 5), entries)
    }),
    { numRuns: 300 },
  )
})

test('a record with some bytes changed is taken exactly when it is still a batch', () => {
  const change = fc.record({ at: fc.nat(), byte: fc.oneof(fc.nat(40), fc.nat(255)) })
  const changes = fc.array(change, { minLength: 1, maxLength: 3 })
  const outcomes = { taken: 0, refused: 0 }
  fc.assert(
    fc.property(batchOfPartition5, changes, (batch, places) => {
      if (batch.bytes.length === 0) return
      const bytes = Uint8Array.from(batch.bytes)
      for (const { at, byte } of places) bytes[at % bytes.length] = byte
      const walked = walk(bytes, 5)
      // A changed account_id belongs elsewhere most of the time.
      if (typeof walked === 'string' && walked.includes('an account of partition')) return
      assert.deepEqual(typeof walked === 'string' ? undefined : walked.entries, readBatch(bytes))
      outcomes[typeof walked === 'string' ? 'refused' : 'taken'] += 1
    }),
    { numRuns: 1000 },
  )
  assert(outcomes.taken > 10 && outcomes.refused > 10, JSON.stringify(outcomes))
})

test('an empty record holds no entries', () => {
  assert.deepEqual(walkedEntries(new Uint8Array(0), 5), [])
})

test('of a field given twice the last one counts, whatever the length of the first', () => {
  const record = entryOf((writer) => {
    writeAccount(writer, Uint8Array.of(1, 2, 3))
    writeAmount(writer).tag(3, WireType.Bit64).sfixed64(9n)
    writeAccount(writer)
    writeId(writer, entry.accountId)
    writeId(writer)
  })
  assert.deepEqual(walkedEntries(record, 5), [
    { ...entry, id: Uint8Array.from(entry.id), amount: 9n },
  ])
})

test('a record with an entry of another partition is refused, and left as it was', () => {
  const stranger = { ...entry, accountId: accountOf(6, entry.accountId) }
  const reason =
    'Entry 1, account_id, byte 47: expected an account of partition 5, found one of partition 6.'
  assert.equal(walk(encodeBatch([entry, stranger, entry]), 5), reason)
  const foreign = entryOf((writer) => {
    writeAmount(writer)
    writeId(writer)
    writeAccount(writer, stranger.accountId)
  })
  assert.equal(walk(Buffer.concat([encodeBatch([entry]), foreign]), 5), reason)
})

test('a transaction without one of its fields is refused: no amount is not an amount of 0', () => {
  const withoutId = entryOf((writer) => writeAmount(writeAccount(writer)))
  checkRefused(withoutId, 'Entry 0, id, byte 29: expected an id, found none.')
  const withoutAccount = entryOf((writer) => writeAmount(writeId(writer)))
  checkRefused(withoutAccount, 'Entry 0, account_id, byte 29: expected an account_id, found none.')
  const withoutAmount = entryOf((writer) => writeAccount(writeId(writer)))
  checkRefused(withoutAmount, 'Entry 0, amount, byte 38: expected an amount, found none.')
})

test('ids of other than 16 bytes are refused', () => {
  const short = entryOf((writer) => writeAmount(writeAccount(writeId(writer), new Uint8Array(15))))
  checkRefused(short, 'Entry 0, account_id, byte 22: expected 16 bytes, found 15 bytes.')
  const long = entryOf((writer) => writeAmount(writeAccount(writeId(writer, new Uint8Array(17)))))
  checkRefused(long, 'Entry 0, id, byte 4: expected 16 bytes, found 17 bytes.')
})

test('a field unknown by number or wire type is refused: it could mean something', () => {
  const known = 'expected field 1 (LEN), 2 (LEN) or 3 (I64) of a transaction'
  const extra = entryOf((writer) =>
    writeAmount(writeAccount(writeId(writer)))
      .tag(4, WireType.Varint)
      .uint32(1),
  )
  checkRefused(extra, `Entry 0, byte 47: ${known}, found field 4 (VARINT).`)
  const varint = entryOf((writer) =>
    writeAccount(writeId(writer)).tag(3, WireType.Varint).uint32(1),
  )
  checkRefused(varint, `Entry 0, byte 38: ${known}, found field 3 (VARINT).`)
  const outer = Buffer.concat([
    encodeBatch([entry]),
    new BinaryWriter().tag(2, WireType.LengthDelimited).bytes(entry.id).finish(),
  ])
  checkRefused(
    outer,
    'Entry 1, byte 47: expected field 1 (LEN), a transaction, found field 2 (LEN).',
  )
  const group = Uint8Array.of(0x0b, 0x0c)
  checkRefused(
    group,
    'Entry 0, byte 0: expected field 1 (LEN), a transaction, found field 1 (SGROUP).',
  )
  checkRefused(
    Uint8Array.of(0x07),
    'Entry 0, byte 0: expected field 1 (LEN), a transaction, found field 0 (wire type 7).',
  )
})

test('a record cut within an entry is refused, and so are bytes after its end', () => {
  const record = encodeBatch([entry, entry])
  for (let length = 0; length <= record.length; length += 1) {
    const walked = walk(record.subarray(0, length), 5)
    assert.equal(typeof walked === 'string', length % entryBytes !== 0, `${length} bytes`)
  }
  checkRefused(
    record.subarray(0, 60),
    'Entry 1, byte 48: expected 45 more bytes, found 11 bytes before the end.',
  )
  checkRefused(
    Buffer.concat([record, Uint8Array.of(0)]),
    'Entry 2, byte 94: expected field 1 (LEN), a transaction, found field 0 (VARINT).',
  )
})

test('lengths that reach out of their entry, or out of all reason, are refused', () => {
  const reaching = Uint8Array.from(encodeBatch([entry, entry]))
  reaching[3] = 60
  checkRefused(
    reaching,
    'Entry 0, id, byte 3: expected 60 more bytes, found 43 bytes before the end.',
  )
  const huge = Uint8Array.of(0x0a, ...Array<number>(9).fill(0xff), 0x01)
  const reason = 'expected 18446744073709552000 more bytes, found 0 bytes before the end.'
  checkRefused(huge, `Entry 0, byte 1: ${reason}`)
  const endless = Uint8Array.of(0x0a, ...Array<number>(12).fill(0x80))
  checkRefused(
    endless,
    'Entry 0, byte 1: expected the length of a transaction, found a cut or endless varint.',
  )
})
