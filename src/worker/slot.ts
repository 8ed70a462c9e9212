// One worker as the orchestrator sees it: its thread, its ring, its reader, and the partitions it
// works on.
// In:  which partitions to work on; records from the log.
// Out: slices to the thread; progress, faults and losses to the orchestrator.
// Absent: which partitions a process has (orchestrator.ts), SQL, what a record means.

import { setTimeout as delay } from 'node:timers/promises'
import type { Worker } from 'node:worker_threads'
import { startThread } from '../artifact/threads.ts'
import { LedgerError, messageOf } from '../errors.ts'
import { readBytes, ringBytes } from '../limits.ts'
import type { Log, LogReader, LogRecord } from '../log/log.ts'
import { metrics } from '../observe/metrics.ts'
import type { Logger } from '../observe/logger.ts'
import type { FromWorker, Position, ThreadOptions, ToWorker } from './protocol.ts'
import { sliceFields } from './protocol.ts'
import { Ring } from './ring.ts'

export interface SlotEvents {
  message(slot: Slot, message: FromWorker): void
  /** The log cannot give this partition's next record. */
  fault(slot: Slot, partition: number, error: LedgerError): void
  /** The oldest record handed to the thread for a partition that had none waiting. */
  received(partition: number, offset: number, timestamp: number): void
  /** The thread ended without being told to. */
  died(slot: Slot, error: unknown): void
}

interface Reading {
  generation: number
  nextRead: number
}

type SlotOptions = Omit<ThreadOptions, 'ring' | 'worker'> & { worker: number; logger: Logger }

export class Slot {
  readonly worker: number
  private readonly options: SlotOptions
  private readonly log: Log
  private readonly events: SlotEvents
  private ring = new Ring(ringBytes)
  private thread: Worker | undefined
  private reader: LogReader | undefined
  private readonly reading = new Map<number, Reading>()
  /**
   * Changes whenever `reading` does, so that records read before are told from those read after.
   */
  private version = 0
  private pumping = Promise.resolve()
  private stopping = false

  constructor(options: SlotOptions, log: Log, events: SlotEvents) {
    this.worker = options.worker
    this.options = options
    this.log = log
    this.events = events
  }

  async start(): Promise<void> {
    this.reader = await this.log.openReader({
      onFault: (partition, error) => {
        this.reading.delete(partition)
        this.events.fault(this, partition, error)
      },
    })
    this.startThread()
    this.pumping = this.pump(this.reader)
  }

  send(message: ToWorker): void {
    this.thread?.postMessage(message)
  }

  /**
   * Reads partitions from these positions on; records read earlier are not handed over any more.
   */
  readFrom(positions: readonly Position[]): void {
    for (const { partition, offset, generation } of positions) {
      this.reading.set(partition, { generation, nextRead: offset })
    }
    this.reassign()
  }

  /** Stops reading partitions. */
  forget(partitions: readonly number[]): void {
    let changed = false
    for (const partition of partitions) changed = this.reading.delete(partition) || changed
    if (changed) this.reassign()
  }

  release(ringEnd: number): void {
    this.ring.release(ringEnd)
    metrics.ringBytes.set({ worker: this.worker }, this.ring.used)
  }

  /** Where reading stands: what is before these offsets has been handed to the thread. */
  get nextReads(): Map<number, number> {
    return new Map([...this.reading].map(([partition, { nextRead }]) => [partition, nextRead]))
  }

  /**
   * A new thread and an empty ring; every partition must be assigned anew. Generations begin anew
   * with the thread, so nothing may reach it that was read for the one before, even where no
   * partition was being read any more.
   */
  restartThread(): void {
    this.reading.clear()
    this.reassign()
    this.ring = new Ring(ringBytes)
    metrics.workerRestarts.inc()
    this.startThread()
  }

  /**
   * Stops reading, lets the thread apply what it has been handed, and ends it; by force once the
   * signal is aborted.
   */
  async stop(signal: AbortSignal): Promise<void> {
    this.stopping = true
    this.ring.wake()
    // Closing comes first: it ends a read that waits for brokers.
    await this.reader?.close()
    await this.pumping
    const thread = this.thread
    if (!thread) return
    const ended = new Promise<void>((resolve) =>
      thread.once('exit', () => {
        resolve()
      }),
    )
    thread.postMessage({ kind: 'stop' } satisfies ToWorker)
    const terminate = (): void => void thread.terminate()
    if (signal.aborted) terminate()
    signal.addEventListener('abort', terminate, { once: true })
    await ended
  }

  private startThread(): void {
    const { logger, ...options } = this.options
    const workerData = { ...options, ring: this.ring.shared } satisfies ThreadOptions
    const thread = startThread('worker/thread', { workerData })
    let cause: unknown
    thread.on('message', (message: FromWorker) => {
      if (thread === this.thread) this.events.message(this, message)
    })
    thread.on('error', (error) => {
      cause = error
    })
    thread.on('exit', (code) => {
      logger.debug({ worker: this.worker, code }, 'worker thread ended')
      if (thread !== this.thread) return
      this.thread = undefined
      if (!this.stopping) this.events.died(this, cause ?? new Error(`exit code ${code}`))
    })
    this.thread = thread
  }

  /**
   * The reader is told by pump(), so that it is never reading and being assigned at the same time.
   */
  private reassign(): void {
    this.version++
    this.ring.wake()
  }

  /**
   * Assigns and reads in turn. What a read returns belongs to the assignment before it: where that
   * is past by then, it is dropped, and read again from where handing over had come to.
   */
  private async pump(reader: LogReader): Promise<void> {
    let assigned = -1
    let failures = 0
    while (!this.stopping) {
      try {
        if (assigned !== this.version) {
          const version = this.version
          await reader.assign(this.nextReads)
          assigned = version
        } else {
          const records = await reader.read(readBytes)
          if (assigned === this.version) await this.handOver(records, assigned)
        }
        failures = 0
      } catch (error) {
        // The reader may have gone on past records that it did not return.
        assigned = -1
        failures++
        if (failures === 1) {
          this.options.logger.warn({ reason: messageOf(error) }, 'log cannot be read, retrying')
        }
        await delay(Math.min(2000, 50 * 2 ** Math.min(failures, 6)))
      }
    }
  }

  /**
   * Copies records into the ring, waiting for room, and tells the thread; drops them if `version`
   * is past.
   */
  private async handOver(records: readonly LogRecord[], version: number): Promise<void> {
    const slices = new Float64Array(records.length * sliceFields)
    let length = 0
    for (const record of records) {
      const reading = this.reading.get(record.partition)
      if (!reading) continue
      if (record.bytes.length > ringBytes / 2) {
        this.refuse(record)
        continue
      }
      let start = this.ring.write(record.bytes)
      while (start < 0) {
        this.sendSlices(slices, length)
        length = 0
        if (!this.stopping) await this.ring.waitForRelease()
        if (version !== this.version || this.stopping) return
        start = this.ring.write(record.bytes)
      }
      const { partition, offset, timestamp } = record
      const { generation } = reading
      const end = this.ring.end
      slices.set(
        [partition, generation, offset, timestamp, start, record.bytes.length, end],
        length,
      )
      length += sliceFields
      reading.nextRead = offset + 1
      this.events.received(partition, offset, timestamp)
    }
    this.sendSlices(slices, length)
  }

  /**
   * A record that no ring can hold is none of ours; skipping it would break the promise of the
   * offsets.
   */
  private refuse({ partition, offset, bytes }: LogRecord): void {
    this.forget([partition])
    const expected = `expected at most ${ringBytes / 2} bytes`
    const message = `Partition ${partition}, offset ${offset}: ${expected}, found ${bytes.length}.`
    this.events.fault(this, partition, new LedgerError('RECORD_TOO_LARGE', message))
  }

  private sendSlices(slices: Float64Array, length: number): void {
    if (length === 0) return
    this.send({ kind: 'slices', slices: slices.slice(0, length) })
    metrics.ringBytes.set({ worker: this.worker }, this.ring.used)
  }
}
