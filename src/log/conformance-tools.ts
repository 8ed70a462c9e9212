// What the conformance tests do again and again: open a log, fill it, read it back.
// In:  a fixture that can make a log.
// Out: records copied out of a reader; a log closed and destroyed whatever the test did.
// Absent: any promise; those are in conformance.ts.

import assert from 'node:assert/strict'
import type { LedgerError } from '../errors.ts'
import type { Log, LogReader, LogRecord, Offset } from './log.ts'

export interface LogFixture {
  /** Opens the log; called again after close() it opens the same log with everything in it. */
  open(): Promise<Log>
  /** Makes records of `partition` below `before` unavailable, as retention would. */
  truncate(log: Log, partition: number, before: Offset): Promise<void>
  /** Replaces the closed log by a new empty one under the same name; the next open() opens that. */
  recreate(): Promise<void>
  /** Leaves nothing behind. The log is closed. */
  destroy(): Promise<void>
}

export interface Fault {
  partition: number
  code: string
  message: string
}

/** A log on trial. What it opens it closes, in the order that the interface asks for. */
export class Trial {
  readonly fixture: LogFixture
  log: Log
  private readonly readers: LogReader[] = []
  private readonly unexpectedFaults: Fault[] = []
  private closed = false

  private constructor(fixture: LogFixture, log: Log) {
    this.fixture = fixture
    this.log = log
  }

  static async run(
    createFixture: () => Promise<LogFixture>,
    body: (trial: Trial) => Promise<void>,
  ): Promise<void> {
    const fixture = await createFixture()
    try {
      const trial = new Trial(fixture, await fixture.open())
      try {
        await body(trial)
        assert.deepEqual(trial.unexpectedFaults, [])
      } finally {
        await trial.close()
      }
    } finally {
      await fixture.destroy()
    }
  }

  async close(): Promise<void> {
    if (this.closed) return
    this.closed = true
    for (const reader of this.readers.splice(0)) await reader.close()
    await this.log.close()
  }

  async reopen(): Promise<void> {
    await this.close()
    this.log = await this.fixture.open()
    this.closed = false
  }

  /** A reader with an assignment. A fault that `faults` does not collect fails the test. */
  async reader(
    positions: Iterable<[number, Offset]>,
    faults: Fault[] = this.unexpectedFaults,
  ): Promise<LogReader> {
    const onFault = (partition: number, error: LedgerError): void => {
      faults.push({ partition, code: error.code, message: error.message })
    }
    const reader = await this.log.openReader({ onFault })
    this.readers.push(reader)
    await reader.assign(new Map(positions))
    return reader
  }

  /** Appends all at once, in order, and returns the offsets. */
  async fill(partition: number, records: readonly Uint8Array[]): Promise<Offset[]> {
    return Promise.all(records.map((bytes) => this.log.append(partition, bytes)))
  }
}

const patienceMs = 20_000

/** Reads on until `done` says so; the test fails when that takes too long. Bytes are copied out. */
export async function readUntil(
  reader: LogReader,
  done: (records: readonly LogRecord[]) => boolean,
  maxBytes = 1 << 20,
): Promise<LogRecord[]> {
  const records: LogRecord[] = []
  const deadline = Date.now() + patienceMs
  while (!done(records)) {
    assert(Date.now() < deadline, `Only ${records.length} records arrived in ${patienceMs} ms.`)
    for (const record of await reader.read(maxBytes)) records.push(copyOf(record))
  }
  return records
}

/** Reads exactly `count` records, and makes sure that no more than these arrive. */
export async function readExactly(reader: LogReader, count: number): Promise<LogRecord[]> {
  const records = await readUntil(reader, (soFar) => soFar.length >= count)
  records.push(...(await reader.read(1 << 20)))
  assert.equal(records.length, count)
  return records
}

function copyOf(record: LogRecord): LogRecord {
  return { ...record, bytes: record.bytes.slice() }
}

/** Bytes that differ from those of any other seed, so that swapped or stale records are noticed. */
export function bytesOf(seed: number, length: number): Uint8Array {
  const bytes = new Uint8Array(length)
  let state = (seed + 1) * 0x9e3779b1
  for (let at = 0; at < length; at += 1) {
    state = (Math.imul(state, 1664525) + 1013904223) | 0
    bytes[at] = state >>> 24
  }
  return bytes
}

export function offsetsOf(records: readonly LogRecord[], partition: number): Offset[] {
  return records.filter((record) => record.partition === partition).map((record) => record.offset)
}

/** Compares without printing a megabyte when they differ. */
export function assertSameBytes(found: Uint8Array, expected: Uint8Array, what: string): void {
  assert.equal(found.length, expected.length, `length of ${what}`)
  assert(Buffer.compare(found, expected) === 0, `The bytes of ${what} are not those appended.`)
}

export function assertAscending(offsets: readonly Offset[]): void {
  for (let at = 1; at < offsets.length; at += 1) {
    const before = offsets[at - 1] ?? NaN
    const here = offsets[at] ?? NaN
    assert(before < here, `offset ${here} follows ${before}`)
  }
}
