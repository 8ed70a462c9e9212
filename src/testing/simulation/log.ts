// The log as one process has it: log/log.ts, with everything that interface permits happening.
// In:  appends and reads of a process.
// Out: the records of a topic; late, never, twice, or an error, as the interface allows.
// Absent: Kafka and lmdb, which have their own conformance suite (log/conformance.ts).

import { type LedgerError, type ErrorCode } from '../../errors.ts'
import type { Log, LogRange, LogReader, LogRecord, ReaderOptions } from '../../log/log.ts'
import type { Random } from '../random.ts'
import type { Life, Scheduler } from './scheduler.ts'
import type { Topic } from './topic.ts'
import { Wire, latencyMs } from './wire.ts'

export interface LogOptions {
  scheduler: Scheduler
  random: Random
  topic: Topic
  identity: string
  life: Life
  /** The program's own class: each process has evaluated its modules for itself. */
  errorClass: typeof LedgerError
  /** Trims what is released, as the embedded log does. */
  trims: boolean
  onRelease: (positions: ReadonlyMap<number, number>) => void
  violated: (kind: 'contract', message: string) => void
}

export class SimulatedLog implements Log {
  readonly identity: string
  readonly options: LogOptions
  /** Of each partition's appends, so that they come in the order of the calls. */
  private readonly up: Wire
  private readonly down: Wire

  constructor(options: LogOptions) {
    this.options = options
    this.identity = options.identity
    this.up = new Wire(options.scheduler, options.random)
    this.down = new Wire(options.scheduler, options.random)
  }

  append(partition: number, bytes: Uint8Array, timestamp = 0): Promise<number> {
    const { topic, random, life, violated, scheduler } = this.options
    return new Promise((resolve, reject) => {
      this.up.send(undefined, () => {
        const sent = Buffer.from(bytes)
        const checkBytes = (): void => {
          if (!sent.equals(bytes)) violated('contract', 'bytes of an append changed under way')
        }
        const isTaken = topic.outage !== 'refuses' && topic.identity === this.identity
        const offset = isTaken ? topic.append(partition, bytes, timestamp) : -1
        if (isTaken && topic.outage === undefined) {
          this.down.send(life, () => {
            checkBytes()
            resolve(offset)
          })
          return
        }
        scheduler.after(1000 * random.fraction(), life, () => {
          checkBytes()
          reject(this.error('LOG_UNAVAILABLE', 'not confirmed'))
        })
      })
    })
  }

  openReader(options: ReaderOptions): Promise<LogReader> {
    return this.answer(() => new SimulatedReader(this, options))
  }

  async ranges(partitions: readonly number[]): Promise<Map<number, LogRange>> {
    return this.answer(() => {
      if (this.options.topic.outage) throw this.error('LOG_UNAVAILABLE', 'no answer')
      return new Map(
        partitions.map((partition) => {
          const { first, next } = this.options.topic.partitions[partition]
          return [partition, { first, next }]
        }),
      )
    })
  }

  release(positions: ReadonlyMap<number, number>): Promise<void> {
    const { onRelease, trims, topic } = this.options
    onRelease(positions)
    if (trims) for (const [partition, offset] of positions) topic.trim(partition, offset)
    return Promise.resolve()
  }

  unavailable(): string | undefined {
    return undefined
  }

  close(): Promise<void> {
    return Promise.resolve()
  }

  error(code: ErrorCode, message: string): LedgerError {
    return new this.options.errorClass(code, message)
  }

  /** After a while. */
  async answer<Result>(ask: () => Result): Promise<Result> {
    const { scheduler, random, life } = this.options
    await new Promise<void>((resolve) => void scheduler.after(latencyMs(random), life, resolve))
    return ask()
  }
}

const longestReadMs = 100

class SimulatedReader implements LogReader {
  private readonly log: SimulatedLog
  private readonly onFault: ReaderOptions['onFault']
  private positions = new Map<number, number>()
  /** Of the last read: they are not valid any more at the next. */
  private lent: Uint8Array[] = []
  private isBusy = false
  private isClosed = false

  constructor(log: SimulatedLog, options: ReaderOptions) {
    this.log = log
    this.onFault = (partition, error) => options.onFault(partition, error)
  }

  async assign(positions: ReadonlyMap<number, number>): Promise<void> {
    this.begin()
    await this.log.answer(() => {
      this.isBusy = false
      if (this.log.options.topic.outage === 'refuses' && this.log.options.random.chance(0.5)) {
        throw this.log.error('LOG_UNAVAILABLE', 'no answer')
      }
      this.positions = new Map(positions)
    })
  }

  async read(maxBytes: number): Promise<LogRecord[]> {
    this.begin()
    const { topic, random } = this.log.options
    for (const bytes of this.lent.splice(0)) bytes.fill(0xee)
    await this.arrival()
    return this.log.answer(() => {
      this.isBusy = false
      if (this.isClosed) return []
      const records = topic.outage === 'refuses' ? [] : this.take(maxBytes)
      if (topic.outage !== undefined && random.chance(0.3)) {
        throw this.log.error('LOG_UNAVAILABLE', 'gone on past what was not returned')
      }
      return records
    })
  }

  close(): Promise<void> {
    this.isClosed = true
    return Promise.resolve()
  }

  private begin(): void {
    if (this.isBusy) this.log.options.violated('contract', 'the reader was asked twice at once')
    this.isBusy = true
  }

  /** Until there is something to read, for a while at most. */
  private arrival(): Promise<void> {
    const { topic, scheduler, life } = this.log.options
    const isThere = [...this.positions].some(([partition, position]) => {
      return position !== topic.partitions[partition].next
    })
    if (isThere) return Promise.resolve()
    return new Promise((resolve) => {
      const due = scheduler.after(longestReadMs, life, resolve)
      topic.onAppend(() => {
        due.cancelled = true
        scheduler.after(0, life, resolve)
      })
    })
  }

  private take(maxBytes: number): LogRecord[] {
    const { topic, random } = this.log.options
    const found: LogRecord[] = []
    let bytes = 0
    const partitions = [...this.positions.keys()]
    const turn = random.below(Math.max(1, partitions.length))
    for (const partition of [...partitions.slice(turn), ...partitions.slice(0, turn)]) {
      const position = this.positions.get(partition) ?? 0
      const fault = this.fault(partition, position)
      if (fault) {
        this.positions.delete(partition)
        this.onFault(partition, fault)
        continue
      }
      this.positions.set(partition, topic.partitions[partition].next)
      for (const record of topic.recordsFrom(partition, position)) {
        if (found.length > 0 && bytes + record.bytes.length > maxBytes) {
          this.positions.set(partition, record.offset)
          break
        }
        bytes += record.bytes.length
        found.push({ ...record, bytes: Uint8Array.from(record.bytes) })
      }
    }
    this.lent = found.map((record) => record.bytes)
    return found
  }

  private fault(partition: number, position: number): LedgerError | undefined {
    const { topic } = this.log.options
    const { first, next } = topic.partitions[partition]
    if (topic.identity !== this.log.identity) return this.log.error('OFFSET_GONE', 'another log')
    if (position < first) {
      const message = `expected offset ${position}, the log begins at ${first}`
      return this.log.error('OFFSET_GONE', message)
    }
    if (position <= next) return undefined
    return this.log.error('OFFSET_BEYOND_END', `expected offset ${position}, the end is ${next}`)
  }
}
