// One worker: applies the records of its partitions to its database, a flush at a time, for ever.
// In:  ToWorker messages; record bytes in the ring.
// Out: committed flushes; FromWorker messages.
// Absent: threads (thread.ts), the log, what is in the transaction (ledger/commit.ts).

import { setTimeout as delay } from 'node:timers/promises'
import { messageOf, reactionTo, type ErrorCode, type LedgerError } from '../errors.ts'
import { claim, readCheckpoints } from '../ledger/checkpoint.ts'
import { commitFlush } from '../ledger/commit.ts'
import type {
  Checkpoint,
  CheckpointStep,
  Flush,
  FlushOutcome,
  QuarantinedRecord,
} from '../ledger/flush.ts'
import { flushQuarantineMax, flushRowsMax, timestampMax, timestampMin } from '../limits.ts'
import type { Logger } from '../observe/logger.ts'
import { connect, type Connection } from '../postgres/connection.ts'
import { faultText } from '../record/fault.ts'
import { entryBytes } from '../record/layout.ts'
import { bucketOf } from '../record/partition.ts'
import { crashPoint } from '../testing/crash.ts'
import { createdWith, type Created } from './created.ts'
import { HeldPartitions } from './held.ts'
import { OpenBuckets } from './open-buckets.ts'
import { slice, type FromWorker, type ThreadOptions, type ToWorker } from './protocol.ts'
import { RepeatWatch } from './repeats.ts'
import { Rest } from './rest.ts'
import { RowEncoder } from './rows.ts'
import { SliceQueue } from './slices.ts'

export interface ApplierOptions extends ThreadOptions {
  logger: Logger
  post(message: FromWorker): void
}

/** The oldest slices of the queue, made into a flush. */
interface Prepared {
  flush: Flush
  steps: CheckpointStep[]
  slices: number
  ringEnd: number
  timestamps: Map<number, number>
  repeats: number
}

const flushBytesMax = flushRowsMax * entryBytes
const retryLeastMs = 50
const retryMostMs = 2000
/** After this long without work, open leaves are sealed. */
const idleMs = 2000

// A flush is prepared from the head of the queue, and the head is dropped only when its outcome is
// known. So whatever fails in between, preparing again skips what PostgreSQL has and takes the
// rest.
export class Applier {
  private readonly options: ApplierOptions
  private readonly queue = new SliceQueue()
  private readonly held = new HeldPartitions()
  private readonly encoder: RowEncoder
  private readonly repeats: RepeatWatch
  private readonly open: OpenBuckets
  private readonly rest = new Rest()
  private readonly ring: Uint8Array
  private toClaim = new Set<number>()
  private connection: Connection | undefined
  /** The moves of a flush whose outcome is not known. */
  private inFlight: readonly CheckpointStep[] = []
  private stopping = false
  private wake: () => void = () => undefined
  private databaseReason: string | undefined

  constructor(options: ApplierOptions) {
    this.options = options
    this.encoder = new RowEncoder(options.ring, options.buckets)
    this.repeats = new RepeatWatch(options.buckets)
    this.open = new OpenBuckets({
      ...options,
      rate: options.openLeafRate,
      onLeaves: (change) => options.post({ kind: 'leaves', ...change }),
    })
    this.ring = new Uint8Array(options.ring)
  }

  receive(message: ToWorker): void {
    switch (message.kind) {
      case 'assign':
        for (const partition of message.partitions) this.toClaim.add(partition)
        break
      case 'revoke':
        for (const partition of message.partitions) this.toClaim.delete(partition)
        this.held.release(message.partitions)
        break
      case 'slices':
        this.queue.push(message.slices)
        break
      case 'stop':
        this.stopping = true
        break
    }
    this.wake()
  }

  /** Runs until told to stop and nothing is left to apply. Rejects only for a bug of ours. */
  async run(): Promise<void> {
    let failures = 0
    while (!(this.stopping && this.queue.length === 0)) {
      const restMs = this.isUrgent ? 0 : this.rest.left(performance.now(), this.queue.bytes)
      if (restMs > 0 || !this.hasWork) {
        await this.nextMessage(restMs)
        continue
      }
      try {
        await this.work()
        failures = 0
      } catch (error) {
        await this.react(error, failures++)
      }
    }
    await this.open.close()
    await this.connection?.close()
  }

  private get hasWork(): boolean {
    return this.isUrgent || this.queue.length > 0
  }

  /**
   * A leaf in doubt is work too: nobody else would seal it. So is a lost connection: its database
   * may have forgotten commits, and no record may come for long.
   */
  private get isUrgent(): boolean {
    const isCut = this.connection?.lost !== undefined
    return this.stopping || this.toClaim.size > 0 || this.open.isDoubtful || isCut
  }

  /** @param restMs how long at most, where something waits already */
  private nextMessage(restMs: number): Promise<void> {
    return new Promise((resolve) => {
      const timer =
        this.queue.length > 0
          ? setTimeout(() => this.wake(), Math.ceil(restMs))
          : setInterval(() => this.open.sealIdle(), idleMs)
      this.wake = () => {
        clearTimeout(timer)
        resolve()
      }
    })
  }

  private async work(): Promise<void> {
    const connection = (this.connection ??= await this.connectAgain())
    if (connection.lost !== undefined) throw connection.lost
    if (this.toClaim.size > 0) await this.claim(connection)
    if (this.open.isDoubtful) await this.open.sealDoubtful(connection, this.held.partitions)
    const prepared = this.prepare()
    if (prepared) await this.commit(connection, prepared)
  }

  private async react(error: unknown, failures: number): Promise<void> {
    const reaction = reactionTo(error)
    if (reaction !== 'retry' && reaction !== 'exit') throw error
    const { code, message } = error as LedgerError
    const connection = this.connection
    this.connection = undefined
    this.open.doubt()
    await connection?.close().catch(() => undefined)
    if (reaction === 'exit') this.options.post({ kind: 'fatal', code, reason: message })
    if (this.databaseReason !== message) {
      this.databaseReason = message
      this.options.post({ kind: 'database', reason: message })
    }
    const wait = Math.min(retryMostMs, retryLeastMs * 2 ** Math.min(failures, 10))
    await delay(wait * (0.5 + Math.random()))
  }

  /**
   * A new connection. What happened to a flush under way on the last one is unknown, and a database
   * that crashed may have lost commits (they are asynchronous): so what PostgreSQL says now is
   * taken for what is.
   */
  private async connectAgain(): Promise<Connection> {
    const { databaseUrl, worker } = this.options
    const onLost = (): void => this.wake()
    const applicationName = `ledger worker ${worker}`
    const connection = await connect(databaseUrl, { applicationName, onLost })
    try {
      const inFlight = this.inFlight.map(({ partition }) => partition)
      const partitions = [...new Set([...this.held.partitions, ...inFlight])]
      if (partitions.length > 0) {
        this.reconcile(await readCheckpoints(connection, partitions), partitions)
      }
    } catch (error) {
      await connection.close().catch(() => undefined)
      throw error
    }
    if (this.databaseReason !== undefined) {
      this.databaseReason = undefined
      this.options.post({ kind: 'database', reason: undefined })
    }
    return connection
  }

  /**
   * Takes what PostgreSQL says of `asked` partitions for what is, the outcome of the last flush
   * included.
   */
  private reconcile(checkpoints: readonly Checkpoint[], asked: readonly number[]): void {
    const { confirmed, rewound, lost } = this.held.reconcile(checkpoints, this.inFlight)
    this.inFlight = []
    if (confirmed.length > 0) {
      this.options.post({ kind: 'confirmed', positions: Float64Array.from(confirmed.flat()) })
    }
    if (rewound.length > 0) {
      this.options.logger.warn({ positions: rewound }, 'reading again from the checkpoints')
      this.options.post({ kind: 'read-from', positions: rewound })
    }
    if (lost.length > 0) {
      const owners = [...new Set(lost.map(({ owner }) => owner))].join(', ')
      const partitions = lost.map(({ partition }) => partition)
      this.options.post({ kind: 'fenced', partitions, reason: `claimed by ${owners}` })
    }
    const found = new Set(checkpoints.map(({ partition }) => partition))
    const gone = asked.filter((partition) => !found.has(partition))
    if (gone.length > 0) {
      this.held.release(gone)
      this.halt(gone, 'CHECKPOINT_GONE', 'expected a row in ledger.checkpoints, found none')
    }
  }

  private halt(partitions: readonly number[], code: ErrorCode, reason: string): void {
    this.options.post({ kind: 'halted', partitions, code, reason })
  }

  private async claim(connection: Connection): Promise<void> {
    const { owner, logIdentity } = this.options
    const partitions = [...this.toClaim]
    try {
      const checkpoints = await claim(connection, { partitions, owner, logIdentity })
      crashPoint('after-claim')
      await this.sealClaimed(connection, partitions)
      const wanted = checkpoints.filter(({ partition }) => this.toClaim.delete(partition))
      this.options.post({ kind: 'read-from', positions: this.held.claim(wanted) })
    } catch (error) {
      if (reactionTo(error) !== 'halt') throw error
      for (const partition of partitions) this.toClaim.delete(partition)
      this.halt(partitions, (error as LedgerError).code, messageOf(error))
    }
  }

  /**
   * Whoever had the partitions before may have left open leaves, and we do not know their keys.
   */
  private async sealClaimed(connection: Connection, partitions: readonly number[]): Promise<void> {
    const buckets = new Set(
      partitions.map((partition) => bucketOf(partition, this.options.buckets)),
    )
    for (const bucket of buckets) {
      try {
        await this.open.seal(connection, bucket)
      } catch (error) {
        if (reactionTo(error) !== 'halt') throw error
        const own = partitions.filter((one) => bucketOf(one, this.options.buckets) === bucket)
        for (const partition of own) this.toClaim.delete(partition)
        this.halt(own, (error as LedgerError).code, messageOf(error))
      }
    }
  }

  /**
   * The head of the queue as a flush; undefined, and the head dropped, when none of it is wanted
   * any more.
   */
  private prepare(): Prepared | undefined {
    const { encoder, held } = this
    const ends = new Map<number, number>()
    const timestamps = new Map<number, number>()
    const created = new Map<number, Created>()
    const quarantined: QuarantinedRecord[] = []
    let slices = 0
    let ringEnd = 0
    encoder.begin()
    this.open.beginFlush((bucket) => this.repeats.expected(bucket))
    this.queue.visit((numbers, at) => {
      const partition = numbers[at + slice.partition]
      const offset = numbers[at + slice.offset]
      const wanted = held.wants(partition, numbers[at + slice.generation], offset)
      if (wanted && !this.add(numbers, at, quarantined, created)) return false
      if (wanted) {
        ends.set(partition, offset + 1)
        timestamps.set(partition, numbers[at + slice.timestamp])
      }
      ringEnd = numbers[at + slice.ringEnd]
      slices++
      return true
    })
    if (slices === 0) return undefined
    if (ends.size === 0) {
      this.queue.drop(slices, ringEnd)
      this.options.post({ kind: 'released', ringEnd })
      return undefined
    }
    const steps = [...ends]
      .map(([partition, to]) => held.step(partition, to, created.get(partition)))
      .filter((step) => step !== undefined)
    const buckets = encoder.finish((bucket) => this.open.keysOf(bucket))
    const flush = { steps, buckets, quarantined }
    return { flush, steps, slices, ringEnd, timestamps, repeats: encoder.repeats }
  }

  /**
   * Adds a record to the flush, or to its quarantine; false when it must wait for the next flush.
   * `created` has when the rows of each partition's last record in this flush were created.
   */
  private add(
    numbers: Float64Array,
    at: number,
    quarantined: QuarantinedRecord[],
    created: Map<number, Created>,
  ): boolean {
    const length = numbers[at + slice.length]
    const hasRoom = this.encoder.hasRoomFor(length)
    if (!hasRoom && this.encoder.count > 0) return false
    if (quarantined.length >= flushQuarantineMax) return false
    const partition = numbers[at + slice.partition]
    const timestamp = numbers[at + slice.timestamp]
    const start = numbers[at + slice.start]
    const before = created.get(partition)
    const previous = before?.createdAt ?? this.held.createdAt(partition)
    const added = hasRoom
      ? this.encoder.add(partition, timestamp, start, length, previous)
      : { position: 0, expected: `at most ${flushBytesMax} bytes`, found: `${length}` }
    if (typeof added === 'number') {
      numbers[at + slice.length] = added
      created.set(partition, createdWith(before, previous, this.encoder.created))
    } else {
      const bytes = Buffer.from(this.ring.slice(start, start + length))
      const offset = numbers[at + slice.offset]
      // The table has no room for a time that is itself the fault; the reason names it.
      const time = Math.min(timestampMax, Math.max(timestampMin, timestamp))
      quarantined.push({ partition, offset, timestamp: time, reason: faultText(added), bytes })
    }
    return true
  }

  private async commit(connection: Connection, prepared: Prepared): Promise<void> {
    const started = performance.now()
    this.inFlight = prepared.steps
    const outcome = await this.commitSealed(connection, prepared.flush)
    this.rest.worked(started, performance.now())
    if (outcome.kind === 'stale') {
      this.open.doubt()
      const asked = prepared.steps.map(({ partition }) => partition)
      this.reconcile(outcome.checkpoints, asked)
      return
    }
    this.inFlight = []
    this.held.advance(prepared.steps)
    this.queue.drop(prepared.slices, prepared.ringEnd)
    this.repeats.saw(prepared.flush.buckets, outcome.repeatingBuckets)
    const positions = prepared.steps.flatMap(({ partition, to }) => {
      return [partition, to, prepared.timestamps.get(partition) ?? 0]
    })
    this.options.post({
      kind: 'progress',
      ringEnd: prepared.ringEnd,
      positions: Float64Array.from(positions),
      inserted: outcome.inserted,
      duplicates: outcome.duplicates + prepared.repeats,
      conflicts: outcome.conflicts,
      held: outcome.held,
      quarantined: prepared.flush.quarantined.length,
      mergedBuckets: outcome.mergedBuckets.length,
      rows: prepared.flush.buckets.reduce((sum, one) => sum + one.rows + one.doubtful.rows, 0),
      seconds: (performance.now() - started) / 1000,
    })
    await this.open.turn(connection, prepared.flush.buckets, (partitions) =>
      this.held.epochsOf(partitions),
    )
  }

  /** Commits, sealing first what has to be merged. */
  private async commitSealed(
    connection: Connection,
    flush: Flush,
  ): Promise<Exclude<FlushOutcome, { kind: 'unsealed' }>> {
    for (;;) {
      await this.open.sealWhereNeeded(connection, flush.buckets)
      const outcome = await commitFlush(connection, flush)
      if (outcome.kind !== 'unsealed') return outcome
      await this.open.seal(connection, outcome.bucket)
      for (const rows of flush.buckets) {
        if (rows.bucket === outcome.bucket) rows.isOpen = false
      }
    }
  }
}
