// The log on a single machine with no broker: durable appends to a file of our own.
// In:  a directory that is ours alone.
// Out: a Log.
// Absent: Kafka; metrics, which the callers count the same way for every log.

import assert from 'node:assert/strict'
import { partitionCount } from '../record/layout.ts'
import type { Logger } from '../observe/logger.ts'
import { lockDirectory, type DirectoryLock } from './embedded-lock.ts'
import { EmbeddedReader } from './embedded-reader.ts'
import { EmbeddedRecords } from './embedded-records.ts'
import { EmbeddedStore, makeDirectory } from './embedded-store.ts'
import { EmbeddedWriter, fileBytesMaxOf } from './embedded-writer.ts'
import type { Log, LogRange, LogReader, Offset, ReaderOptions } from './log.ts'

export interface EmbeddedLogOptions {
  /** Made where it does not exist. */
  directory: string
  partitions?: number
  /**
   * Most bytes on disk of records that are not released, pages counted whole. The file itself stays
   * below one and a half times as much and 64 MiB, and never shrinks: what is released is used
   * again.
   */
  diskBytesMax: number
  /** What is released stays, and appends are refused once the disk budget is used up by it. */
  keepsAll?: boolean
  logger?: Logger
}

/**
 * Opens the log in a directory, or makes it. Rejects with DATA_DIR_LOCKED while another process has
 * it, PARTITION_COUNT_CHANGED where it was made with another count, LAYOUT_MISMATCH where another
 * program made it, and CONFIG_INVALID where the file cannot be opened.
 */
export async function openEmbeddedLog(options: EmbeddedLogOptions): Promise<Log> {
  const { directory, partitions = partitionCount, diskBytesMax, keepsAll, logger } = options
  assert(partitions > 0 && partitions <= 0xffff && diskBytesMax > 0)
  await makeDirectory(directory)
  const lock = await lockDirectory(directory)
  try {
    const store = await EmbeddedStore.open(directory, partitions, fileBytesMaxOf(diskBytesMax))
    const records = new EmbeddedRecords(store)
    records.load()
    const writer = new EmbeddedWriter(store, records, diskBytesMax, logger)
    return new EmbeddedLog(lock, store, records, writer, keepsAll ?? false)
  } catch (error) {
    await lock.release()
    throw error
  }
}

class EmbeddedLog implements Log {
  readonly identity: string
  private readonly lock: DirectoryLock
  private readonly store: EmbeddedStore
  private readonly records: EmbeddedRecords
  private readonly writer: EmbeddedWriter
  private readonly keepsAll: boolean
  private closing: Promise<void> | undefined

  constructor(
    lock: DirectoryLock,
    store: EmbeddedStore,
    records: EmbeddedRecords,
    writer: EmbeddedWriter,
    keepsAll: boolean,
  ) {
    this.identity = store.identity
    this.lock = lock
    this.store = store
    this.records = records
    this.writer = writer
    this.keepsAll = keepsAll
  }

  /** The bytes are copied before this returns, so the caller may use them again at once. */
  append(partition: number, bytes: Uint8Array, timestamp?: number): Promise<Offset> {
    return this.writer.append(partition, bytes, timestamp)
  }

  openReader(options: ReaderOptions): Promise<LogReader> {
    return Promise.resolve(new EmbeddedReader(this.records, options))
  }

  ranges(partitions: readonly number[]): Promise<Map<number, LogRange>> {
    return Promise.resolve(new Map(partitions.map((at) => [at, this.records.range(at)])))
  }

  release(positions: ReadonlyMap<number, Offset>): Promise<void> {
    return this.keepsAll ? Promise.resolve() : this.writer.release(positions)
  }

  unavailable(): string | undefined {
    return this.writer.unavailable()
  }

  close(): Promise<void> {
    this.closing ??= this.letGo()
    return this.closing
  }

  private async letGo(): Promise<void> {
    await this.writer.close()
    await this.store.close()
    await this.lock.release()
  }
}
