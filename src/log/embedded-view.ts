// The embedded log as another process sees it, whether its program runs or not.
// In:  the directory of a log.
// Out: records, as long as they are there.
// Absent: writing anything; the directory's lock, which is for those who write.

/*
 * lmdb lets other processes read beside the one that writes; each read sees one commit. None of
 * them is kept open from one turn of the event loop to the next, or pages that are freed meanwhile
 * could not be used again. So records that are released may be gone when they are asked for: that
 * is a fault of their partition, OFFSET_GONE, as it is on any log.
 */

import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { LedgerError } from '../errors.ts'
import { EmbeddedStore, type RecordKey } from './embedded-store.ts'
import { bytesOf, timestampOf } from './embedded-value.ts'
import type { Log, LogRange, LogReader, LogRecord, Offset, ReaderOptions } from './log.ts'

/** What a log shows to those who only read it. */
export type LogView = Pick<Log, 'identity' | 'ranges' | 'openReader' | 'close'>

/** Where the records of a partition are: place of offset `first + i`. */
interface Places {
  first: Offset
  places: number[]
}

/** @throws LedgerError CONFIG_INVALID where there is no log */
export async function openEmbeddedView(directory: string): Promise<LogView> {
  if (!existsSync(join(directory, 'log.mdb'))) {
    const message = `--data-dir: expected an embedded log in ${directory}, found none.`
    throw new LedgerError('CONFIG_INVALID', message)
  }
  return new EmbeddedView(await EmbeddedStore.openToRead(directory))
}

class EmbeddedView implements LogView {
  readonly identity: string
  readonly #store: EmbeddedStore
  #partitions: Places[] = []

  constructor(store: EmbeddedStore) {
    this.#store = store
    this.identity = store.identity
  }

  /** Looks again where everything is; readers know what was there then. */
  ranges(partitions: readonly number[]): Promise<Map<number, LogRange>> {
    const found = this.#store.marks().map((mark): Places => ({ first: mark, places: [] }))
    for (const { partition, offset, place } of this.#store.keys()) {
      const own = found[partition]
      if (own.places.length === 0) own.first = offset
      own.places.push(place)
    }
    this.#partitions = found
    return Promise.resolve(
      new Map(
        partitions.map((partition) => {
          const { first, places } = found[partition]
          return [partition, { first, next: first + places.length }]
        }),
      ),
    )
  }

  openReader(options: ReaderOptions): Promise<LogReader> {
    return Promise.resolve(new ViewReader(this, options))
  }

  close(): Promise<void> {
    return this.#store.close()
  }

  key(partition: number, offset: Offset): RecordKey | undefined {
    const { first, places } = this.#partitions[partition]
    const place = places.at(offset - first)
    return offset < first || place === undefined ? undefined : { partition, offset, place }
  }

  end(partition: number): Offset {
    const { first, places } = this.#partitions[partition]
    return first + places.length
  }

  read(key: RecordKey): Buffer | undefined {
    return this.#store.read(key)
  }
}

class ViewReader implements LogReader {
  readonly #view: EmbeddedView
  readonly #options: ReaderOptions
  #positions = new Map<number, Offset>()

  constructor(view: EmbeddedView, options: ReaderOptions) {
    this.#view = view
    this.#options = options
  }

  assign(positions: ReadonlyMap<number, Offset>): Promise<void> {
    this.#positions = new Map(positions)
    return Promise.resolve()
  }

  /** What was there when the view looked last; nothing is waited for. */
  read(maxBytes: number): Promise<LogRecord[]> {
    const taken: LogRecord[] = []
    let bytes = 0
    for (const [partition, position] of this.#positions) {
      const end = this.#view.end(partition)
      let offset = position
      for (; offset < end && bytes < maxBytes; offset++) {
        const key = this.#view.key(partition, offset)
        const value = key && this.#view.read(key)
        if (value === undefined) {
          const message = `Partition ${partition}: expected offset ${offset}, found it released.`
          this.#options.onFault(partition, new LedgerError('OFFSET_GONE', message))
          this.#positions.delete(partition)
          break
        }
        bytes += value.length
        const record = { partition, offset, timestamp: timestampOf(value) }
        taken.push({ ...record, bytes: bytesOf(value) })
      }
      if (this.#positions.has(partition)) this.#positions.set(partition, offset)
      if (bytes >= maxBytes) break
    }
    return Promise.resolve(taken)
  }

  close(): Promise<void> {
    this.#positions.clear()
    return Promise.resolve()
  }
}
