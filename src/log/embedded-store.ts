// The embedded log's file: records, the marks of its partitions and its identity, in lmdb.
// In:  transactions of appends and removals.
// Out: a promise that resolves once a transaction is on disk; records by key; what the file holds.
// Absent: who gets which offset (embedded-writer.ts), memory of what is here (embedded-records.ts).

import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { mkdir, open as openFile, statfs } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { open, type RootDatabase } from 'lmdb'
import { LedgerError, messageOf } from '../errors.ts'
import { timestampBytes } from './embedded-value.ts'
import type { Offset } from './log.ts'

/*
 * Header  => 00 00                                      JSON: format, identity, partitions
 * Marks   => 00 01                                      INT48 next offset of each partition
 * Record  => 01 INT48 place  INT16 partition  INT48 offset
 *            a value as in embedded-value.ts
 *
 * Integers are big endian, so that keys sort as their numbers do. `place` counts the records of the
 * whole log in the order they were written. Leading with it makes every transaction write at the
 * end of the tree. With the partition first, a transaction that touches 128 partitions copies 128
 * leaf pages, and less than half as many records of 2 kB are written in a second
 * (bench/append-embedded.mjs). Nothing is ever looked up by partition on disk; embedded-records.ts
 * knows the places.
 *
 * The marks are written in every transaction. They outlive the records: a partition trimmed empty
 * goes on counting.
 */
const headerKey = Buffer.of(0, 0)
const marksKey = Buffer.of(0, 1)
const firstRecordKey = Buffer.of(1)
const recordKeyBytes = 1 + 6 + 2 + 6
const format = 1

/** A leaf node's header and its slot in the page, and a page's header, generously. */
const nodeOverheadBytes = 16
const pageOverheadBytes = 32

/**
 * Codes of errors that mean the disk, the quota or the file's limit is used up: EFBIG, ENOSPC,
 * EDQUOT, MDB_MAP_FULL.
 */
const spaceErrorCodes = new Set([27, 28, 122, -30792])
const freeDiskBytesMin = 16 << 20

/** Address space of who only reads, whatever the file's writer allows it to grow to. */
const readMapBytes = 2 ** 41

/** With the option that lmdb's own types leave out of `put`. */
type Database = RootDatabase<Buffer, Buffer> & {
  put(key: Buffer, value: Buffer, options: { append: true }): Promise<boolean>
}

export interface RecordKey {
  place: number
  partition: number
  offset: Offset
}

export interface StoreTransaction {
  /** In ascending order of place, all above any place of before. */
  appends: readonly { key: RecordKey; value: Buffer }[]
  removals: readonly RecordKey[]
  /** Next offset of each partition, after this transaction. */
  marks: readonly Offset[]
}

export interface StoreUsage {
  /** Pages that hold something. */
  liveBytes: number
  /** Length that the file has reached; what is freed in it is used again. */
  fileBytes: number
}

interface Header {
  format: number
  identity: string
  partitions: number
}

interface Statistics {
  pageSize: number
  treeBranchPageCount: number
  treeLeafPageCount: number
  overflowPages: number
  lastPageNumber: number
}

export class EmbeddedStore {
  readonly identity: string
  readonly partitions: number
  private readonly directory: string
  private readonly database: Database
  private readonly pageBytes: number

  private constructor(directory: string, database: Database, header: Header) {
    this.directory = directory
    this.database = database
    this.identity = header.identity
    this.partitions = header.partitions
    this.pageBytes = (database.getStats() as Statistics).pageSize
  }

  /** Opens the file, or makes it. `mapBytes` of address space are reserved for it. */
  static async open(
    directory: string,
    partitions: number,
    mapBytes: number,
  ): Promise<EmbeddedStore> {
    const path = join(directory, 'log.mdb')
    const database = openDatabase(path, mapBytes)
    try {
      const header = await readOrWriteHeader(database, partitions)
      if (header.partitions !== partitions) {
        const had = `the embedded log in ${directory} was made with ${header.partitions}`
        throw new LedgerError(
          'PARTITION_COUNT_CHANGED',
          `Expected ${partitions} partitions, ${had}.`,
        )
      }
      // After a crash the page cache may hold a commit that the disk does not have yet. Nobody was
      // told of it, but it is about to be read; from now on it must not vanish.
      await syncToDisk(path)
      await syncToDisk(directory)
      return new EmbeddedStore(directory, database, header)
    } catch (error) {
      await database.close()
      throw error
    }
  }

  /** Opens the file beside whoever writes it, and changes nothing. */
  static async openToRead(directory: string): Promise<EmbeddedStore> {
    const database = openDatabase(join(directory, 'log.mdb'), readMapBytes, true)
    const found = database.getBinary(headerKey)
    if (found !== undefined) return new EmbeddedStore(directory, database, headerOf(found))
    await database.close()
    const message = `Expected an embedded log in ${directory}, found one without a header.`
    throw new LedgerError('LAYOUT_MISMATCH', message)
  }

  /** Next offset of each partition. */
  marks(): Offset[] {
    const marks = this.database.getBinary(marksKey)
    assert(marks !== undefined && marks.length === this.partitions * 6, 'marks')
    return Array.from({ length: this.partitions }, (_, at) => marks.readUIntBE(at * 6, 6))
  }

  /** Keys of all records, in ascending order of place. Takes 0.4 µs each. */
  *keys(): Generator<RecordKey> {
    for (const key of this.database.getKeys({ start: firstRecordKey })) {
      assert(Buffer.isBuffer(key) && key.length === recordKeyBytes, 'key of a record')
      yield {
        place: key.readUIntBE(1, 6),
        partition: key.readUInt16BE(7),
        offset: key.readUIntBE(9, 6),
      }
    }
  }

  /**
   * Resolves once all of the transaction is on disk; one at a time. Rejects with LOG_FULL or
   * LOG_UNAVAILABLE, and then none of it was taken.
   *
   * What resolves here is lmdb's promise of a commit *without* `overlappingSync`: mdb_txn_commit
   * has written the pages, waited for fdatasync, written the page that makes them reachable through
   * a descriptor opened with O_DSYNC, and returned, all before the promise is settled. With
   * `overlappingSync` it would resolve earlier, when the transaction can be seen, and the promise
   * that waits for the disk (`flushed`) never settles when flushing fails. A commit that fails at
   * any step leaves the pages unreachable, and the next one writes others; should the very last
   * step fail, lmdb refuses all further use of the file until it is opened again.
   */
  async commit(transaction: StoreTransaction): Promise<void> {
    const taken: Promise<boolean>[] = []
    const committed = this.database.batch(() => {
      for (const { key, value } of transaction.appends) {
        taken.push(this.database.put(encodeKey(key), value, { append: true }))
      }
      for (const key of transaction.removals) void this.database.remove(encodeKey(key))
      void this.database.put(marksKey, encodeMarks(transaction.marks))
    })
    let results: boolean[]
    try {
      results = await Promise.all([committed, ...taken])
    } catch (error) {
      throw await this.explain(error)
    }
    // A key out of order would be left out of an otherwise good transaction: that would be a bug of
    // ours.
    assert(!results.includes(false, 1), 'records are appended in order of place')
  }

  /** The stored value, copied out of the file. */
  read(key: RecordKey): Buffer | undefined {
    return this.database.getBinary(encodeKey(key))
  }

  /**
   * Has another thread bring these records into memory, so that reading them does not wait for the
   * disk.
   */
  async prefetch(keys: readonly RecordKey[]): Promise<void> {
    await this.database.prefetch(keys.map(encodeKey))
  }

  usage(): StoreUsage {
    const found = this.database.getStats() as Statistics
    const live = found.treeBranchPageCount + found.treeLeafPageCount + found.overflowPages
    return {
      liveBytes: live * found.pageSize,
      fileBytes: (found.lastPageNumber + 1) * found.pageSize,
    }
  }

  /** At most what a record of so many bytes will add to `liveBytes`. */
  diskBytesOf(recordBytes: number): number {
    const valueBytes = recordBytes + timestampBytes
    const nodeBytes = recordKeyBytes + nodeOverheadBytes
    // A value that leaves no room for a second one in a page gets pages of its own; others may
    // waste half of theirs.
    if (nodeBytes + valueBytes < this.pageBytes / 2) return 2 * (nodeBytes + valueBytes)
    const pages = Math.ceil((valueBytes + pageOverheadBytes) / this.pageBytes)
    return pages * this.pageBytes + 2 * nodeBytes
  }

  async close(): Promise<void> {
    await this.database.close()
  }

  private async explain(error: unknown): Promise<LedgerError> {
    // lmdb rejects with a general error that carries a promise rejected with the real one.
    const { commitError } = error as { commitError?: Promise<never> }
    const cause: unknown = await Promise.resolve(commitError ?? error).catch((why: unknown) => why)
    const { bavail, bsize } = await statfs(this.directory)
    const isFull =
      spaceErrorCodes.has((cause as { code?: number }).code ?? 0) ||
      bavail * bsize < freeDiskBytesMin
    const what = `The embedded log in ${this.directory} could not be written: ${messageOf(cause)}`
    return isFull
      ? new LedgerError('LOG_FULL', `${what}. The disk is full.`, { cause })
      : new LedgerError('LOG_UNAVAILABLE', `${what}.`, { cause })
  }
}

/** Makes a directory, and makes sure that it is still there after a power failure. */
export async function makeDirectory(directory: string): Promise<void> {
  const firstMade = await mkdir(directory, { recursive: true, mode: 0o700 })
  if (firstMade === undefined) return
  const last = dirname(resolve(firstMade))
  let parent = resolve(directory)
  while (parent !== last) {
    parent = dirname(parent)
    await syncToDisk(parent)
  }
}

function openDatabase(path: string, mapBytes: number, readOnly = false): Database {
  try {
    return open<Buffer, Buffer>({
      path,
      mapSize: mapBytes,
      readOnly,
      keyEncoding: 'binary',
      encoding: 'binary',
      overlappingSync: false, // A commit's promise then means "on disk"; see commit().
      eventTurnBatching: false, // The writer decides what goes into a transaction.
    })
  } catch (cause) {
    const message = `The embedded log ${path} cannot be opened: ${messageOf(cause)}.`
    throw new LedgerError('CONFIG_INVALID', message, { cause })
  }
}

async function readOrWriteHeader(database: Database, partitions: number): Promise<Header> {
  const found = database.getBinary(headerKey)
  if (found === undefined) {
    const header = { format, identity: `embedded:${randomUUID()}`, partitions }
    await database.batch(() => {
      void database.put(headerKey, Buffer.from(JSON.stringify(header)))
      void database.put(marksKey, encodeMarks(Array<Offset>(partitions).fill(0)))
    })
    return header
  }
  return headerOf(found)
}

function headerOf(found: Buffer): Header {
  const header = JSON.parse(found.toString()) as Header
  if (header.format !== format) {
    const message = `Expected an embedded log of format ${format}, found format ${header.format}.`
    throw new LedgerError('LAYOUT_MISMATCH', message)
  }
  return header
}

async function syncToDisk(path: string): Promise<void> {
  const handle = await openFile(path, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

function encodeKey({ place, partition, offset }: RecordKey): Buffer {
  const key = Buffer.allocUnsafe(recordKeyBytes)
  key.writeUInt8(1, 0)
  key.writeUIntBE(place, 1, 6)
  key.writeUInt16BE(partition, 7)
  key.writeUIntBE(offset, 9, 6)
  return key
}

function encodeMarks(marks: readonly Offset[]): Buffer {
  const encoded = Buffer.allocUnsafe(marks.length * 6)
  marks.forEach((next, partition) => encoded.writeUIntBE(next, partition * 6, 6))
  return encoded
}
