// Compares a partition's rows with the records of the log they come from.
// In:  records in order; rows and conflicts, window by window.
// Out: findings; keys to look up, of entries that made no row because there was one.
// Absent: SQL, reading the log.

/*
 * A record's rows share one created_at, which follows from its timestamp and from that of the
 * record before (worker/created.ts). So each record has one group of rows, possibly none, and each
 * entry of it is a row of that group, or repeats a key that was there before: then a row with its
 * amount, or a conflict, is older. Where created_at of the record before is not known, every entry
 * is looked up, and rows that no record made are left to the chain.
 */

import type { Group, TupleGroups, Tuples } from '../../ledger/chain/tuples.ts'
import type { Moment } from '../../ledger/moment.ts'
import type { Offset } from '../../log/log.ts'
import { createdAfter } from '../../worker/created.ts'
import type { Finding } from './findings.ts'
import type { LogFeed } from './log-feed.ts'
import type { Lookup } from './lookups.ts'
import { decodeRecord, type RecordEntries } from './record-entries.ts'
import { amountOf, keyOf, keyText, sha256, timeText } from './texts.ts'

export interface MatchOutput {
  findings: Finding[]
  lookups: Lookup[]
  /** Records that no batch can be read from: SHA-256 of their bytes, by offset. */
  quarantined: Map<Offset, string>
}

/** Entries to look up of which none more is taken, where all are. */
const lookupsMax = 50_000

interface Decoded {
  offset: Offset
  createdAt: Moment | undefined
  entries: RecordEntries
}

export interface MatchStart {
  partition: number
  from: Offset
  end: Offset
  /** As `LogMatch.previous`, of the record before `from`. */
  previous: Moment | undefined
  /** Records with rows up to here have been compared before. */
  checkedTo: Moment
}

export class LogMatch {
  readonly partition: number
  /** The first offset that is compared. */
  readonly from: Offset
  /** Before this one it ends. */
  readonly end: Offset
  /** Of the last record with rows; -Infinity before the first, undefined where it is not known. */
  previous: Moment | undefined
  /** Nothing more is compared: the log's end as far as it is applied, or a fault. */
  isDone = false
  readonly #feed: LogFeed
  readonly #checkedTo: Moment
  #ahead: Decoded | undefined

  constructor(feed: LogFeed, start: MatchStart) {
    this.#feed = feed
    this.#checkedTo = start.checkedTo
    this.partition = start.partition
    this.from = start.from
    this.end = start.end
    this.previous = start.previous
  }

  /** Whether rows can be told from the log alone. */
  get isExact(): boolean {
    return this.previous !== undefined
  }

  /**
   * Compares what was created up to `ceiling`, all of which must be given; returns how many entries
   * of the log that were.
   */
  async window(
    rows: TupleGroups,
    conflicts: TupleGroups,
    ceiling: Moment,
    output: MatchOutput,
  ): Promise<number> {
    let compared = 0
    const rest = [...rows.groups]
    const refused = new Map(conflicts.groups.map((group) => [group.createdAt, group]))
    for (;;) {
      this.#ahead ??= await this.#decodeNext(output)
      const record = this.#ahead
      if (record === undefined || (record.createdAt ?? -Infinity) > ceiling) break
      const isUnbounded = !this.isExact || ceiling === Infinity
      if (isUnbounded && output.lookups.length > lookupsMax) break
      this.#ahead = undefined
      const { createdAt } = record
      if (createdAt !== undefined && createdAt <= this.#checkedTo) continue
      compared += record.entries.count
      if (createdAt === undefined) {
        record.entries.forEach((entry) => this.#lookUp(record, entry, output))
        continue
      }
      while (rest.length > 0 && rest[0].createdAt < createdAt) {
        this.#unknown(rows.tuples, rest.shift(), 'row', output)
      }
      const group = rest.at(0)?.createdAt === createdAt ? rest.shift() : undefined
      this.#compare(record, rows.tuples, group, output)
      const own = refused.get(createdAt)
      if (own) this.#compareConflicts(record, conflicts.tuples, own, output)
      refused.delete(createdAt)
    }
    if (!this.isExact) return compared
    for (const group of rest) this.#unknown(rows.tuples, group, 'row', output)
    for (const group of refused.values()) {
      this.#unknown(conflicts.tuples, group, 'conflict', output)
    }
    return compared
  }

  async #decodeNext(output: MatchOutput): Promise<Decoded | undefined> {
    for (;;) {
      const record = await this.#feed.next(this.partition)
      if (record === undefined) {
        this.isDone = true
        return undefined
      }
      const entries = decodeRecord(this.partition, record)
      if (typeof entries !== 'string') {
        const { offset, timestamp } = record
        const { previous } = this
        if (previous === undefined) return { offset, createdAt: undefined, entries }
        this.previous = createdAfter(previous, timestamp)
        return { offset, createdAt: this.previous, entries }
      }
      output.quarantined.set(record.offset, sha256(record.bytes))
    }
  }

  #where(record: Decoded, entry: number): string {
    return `partition ${this.partition}, offset ${record.offset}, entry ${entry}`
  }

  #lookUp(record: Decoded, entry: number, output: MatchOutput): void {
    const { entries, createdAt: by } = record
    const where = this.#where(record, entry)
    output.lookups.push({
      kind: 'entry',
      ...entries.key(entry),
      amount: entries.amount(entry),
      by,
      where,
    })
  }

  #compare(record: Decoded, tuples: Tuples, group: Group | undefined, output: MatchOutput): void {
    const { entries } = record
    let at = group?.from ?? 0
    const to = group?.to ?? 0
    for (const run of entries.runs()) {
      // Rows that come before it in order have no entry.
      while (at < to && entries.compare(run.first, tuples.tuple(at)) > 0) {
        this.#unknownRow(tuples.tuple(at++), 'row', output)
      }
      const [first, ...repeated] = run.entries
      if (at === to || entries.compare(first, tuples.tuple(at)) !== 0) {
        for (const entry of run.entries) this.#lookUp(record, entry, output)
        continue
      }
      const found = amountOf(tuples.tuple(at++))
      const expected = entries.amount(first)
      if (found !== expected) {
        const where = `${keyText(entries.key(first))}, ${this.#where(record, first)}`
        const finding = { where, expected: `amount ${expected}`, found: `${found}` }
        output.findings.push({ check: 'row amount', ...finding })
      }
      for (const entry of repeated) {
        if (entries.amount(entry) !== expected) this.#lookUp(record, entry, output)
      }
    }
    while (at < to) this.#unknownRow(tuples.tuple(at++), 'row', output)
  }

  #compareConflicts(record: Decoded, tuples: Tuples, group: Group, output: MatchOutput): void {
    for (let at = group.from; at < group.to; at++) {
      const tuple = tuples.tuple(at)
      if (!record.entries.has(tuple)) this.#unknownRow(tuple, 'conflict', output)
    }
  }

  #unknown(
    tuples: Tuples,
    group: Group | undefined,
    what: 'row' | 'conflict',
    output: MatchOutput,
  ): void {
    if (group === undefined) return
    for (let at = group.from; at < group.to; at++) {
      this.#unknownRow(tuples.tuple(at), what, output)
    }
  }

  #unknownRow(tuple: Uint8Array, what: 'row' | 'conflict', output: MatchOutput): void {
    const at = new DataView(tuple.buffer, tuple.byteOffset + tuple.length - 8)
    const createdAt = at.getInt32(0) * 2 ** 32 + at.getUint32(4)
    const found = `a ${what} of amount ${amountOf(tuple)} created at ${timeText(createdAt)}`
    const where = `${keyText(keyOf(tuple))}, partition ${this.partition}`
    const expected = `no ${what} that no record of the log made`
    output.findings.push({ check: `${what} invented`, where, expected, found })
  }
}
