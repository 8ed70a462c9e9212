// All that is checked of a ledger, step by step.
// In:  databases, the log, the state of an earlier run.
// Out: findings told as they are made; the state as it goes.
// Absent: arguments, files of heads (verify.ts).

import { setTimeout as delay } from 'node:timers/promises'
import { LedgerError } from '../../errors.ts'
import { bucketsOf, type Layout } from '../../ledger/buckets.ts'
import { observe, settledLeaves, type Observation } from '../../ledger/chain/settled.ts'
import { readLayout } from '../../ledger/migrate.ts'
import type { LogView } from '../../log/embedded-view.ts'
import { connect, type Connection } from '../../postgres/connection.ts'
import { partitionCount } from '../../record/layout.ts'
import { rowsAhead } from './ahead.ts'
import { checkBucket, type BucketCounts } from './bucket.ts'
import type { Finding, Findings } from './findings.ts'
import { headsAt } from './heads.ts'
import { doubledKeys, leafFindings } from './leaves.ts'
import { rollupFindings } from './rollups.ts'
import type { VerifyState } from './state.ts'

/** So long a leaf may stay open: by then a worker that lives has sealed it. */
const patienceMs = 100_000
const pollMs = 250
const answerSeconds = 24 * 3600

export interface VerifierOptions {
  log: LogView | undefined
  state: VerifyState
  findings: Findings
  signal: AbortSignal
  /** Told when the state has changed; the share is that of its database, rows those of the step. */
  onProgress: (step: string, share: number, rows: number) => void
}

export function connectToVerify(url: string): Promise<Connection> {
  return connect(url, { applicationName: 'ledger verify', answerSeconds })
}

export class DatabaseVerifier {
  readonly #options: VerifierOptions
  readonly #connection: Connection
  readonly #layout: Layout

  private constructor(options: VerifierOptions, connection: Connection, layout: Layout) {
    this.#options = options
    this.#connection = connection
    this.#layout = layout
  }

  static async open(connection: Connection, options: VerifierOptions): Promise<DatabaseVerifier> {
    return new DatabaseVerifier(options, connection, await readLayout(connection))
  }

  async run(): Promise<void> {
    const buckets = bucketsOf(this.#layout)
    const steps = buckets.length + 2
    const database = `database ${this.#layout.databaseIndex}`
    await this.#step(`leaves of ${database}`, 0, async () => {
      this.#tell(database, await leafFindings(this.#connection, this.#layout))
    })
    // All at once, so that leaves that are open are full by the time it is their bucket's turn.
    const observed = new Map<number, Observation>()
    for (const bucket of buckets) observed.set(bucket, await observe(this.#connection, bucket))
    for (const [index, bucket] of buckets.entries()) {
      const seen = observed.get(bucket)
      const share = (within: number): number => (index + 1 + within) / steps
      if (seen)
        await this.#step(`bucket ${bucket}`, share(0), (name) => this.#bucket(name, seen, share))
    }
    await this.#step(`roll-ups of ${database}`, (steps - 1) / steps, async (name) => {
      const onLeaf = (): void => this.#options.onProgress(name, (steps - 1) / steps, 0)
      for await (const finding of rollupFindings(this.#connection, onLeaf)) {
        this.#tell(database, [finding])
      }
    })
  }

  async #step(name: string, share: number, work: (name: string) => Promise<void>): Promise<void> {
    const { state, signal, onProgress } = this.#options
    if (state.done.includes(name)) return
    if (signal.aborted) throw new LedgerError('STOPPING', 'Interrupted.')
    onProgress(name, share, 0)
    await work(name)
    state.done.push(name)
    state.bucket = undefined
    onProgress(name, share, 0)
  }

  async #bucket(
    name: string,
    observed: Observation,
    shareOf: (within: number) => number,
  ): Promise<void> {
    const { state, log, signal, onProgress } = this.#options
    const { bucket } = observed
    const connection = this.#connection
    const leaves = await this.#leaves(observed)
    const heads = allHeads(observed, this.#layout)
    const earlier = state.bucket?.name === name ? state.bucket : undefined
    const counts = await checkBucket({
      connection,
      bucket,
      heads,
      leaves,
      log,
      earlier,
      signal,
      tell: (findings) => this.#tell(name, findings),
      onWindow: (progress, share) => {
        state.bucket = { name, ...progress }
        onProgress(name, shareOf(share * 0.8), progress.counts.rows)
      },
    })
    const last = Math.max(-Infinity, ...heads.map(({ createdAt }) => createdAt))
    this.#tell(name, await rowsAhead(connection, leaves, last))
    for (const [index, leaf] of leaves.entries()) {
      if (signal.aborted) throw new LedgerError('STOPPING', 'Interrupted.')
      onProgress(name, shareOf(0.8 + (0.2 * index) / leaves.length), counts.rows)
      this.#tell(name, await doubledKeys(connection, leaf))
    }
    state.counts = sumOf(state.counts, counts)
    if (state.bucket) state.heads.push(...headsAt(state.bucket.position))
  }

  /** A worker that died leaves leaves open: nobody minds then that they are read. */
  async #leaves(observed: Observation): Promise<string[]> {
    const deadline = performance.now() + patienceMs
    for (;;) {
      const leaves = await settledLeaves(this.#connection, observed)
      if (leaves) return leaves
      if (performance.now() > deadline || !(await this.#hasWriters())) break
      await delay(pollMs, undefined, { signal: this.#options.signal }).catch(() => undefined)
      if (this.#options.signal.aborted) throw new LedgerError('STOPPING', 'Interrupted.')
    }
    const all = await settledLeaves(this.#connection, { ...observed, open: new Set() })
    return [...(all ?? []), ...observed.open]
  }

  /** Whether a worker is connected, as far as PostgreSQL lets us see. */
  async #hasWriters(): Promise<boolean> {
    const found = await this.#connection.queryOne<{ some: boolean }>(
      `SELECT EXISTS (SELECT FROM pg_stat_activity
         WHERE datname = current_database() AND application_name LIKE 'ledger worker%') AS some`,
    )
    return found?.some === true
  }

  #tell(scope: string, findings: readonly Finding[]): void {
    for (const finding of findings) this.#options.findings.add(scope, finding)
  }
}

/** Those of partitions that were never claimed as well: they must have no rows. */
function allHeads({ bucket, heads }: Observation, { buckets }: Layout): Observation['heads'] {
  const known = new Map(heads.map((head) => [head.partition, head]))
  const own = Array.from({ length: partitionCount / buckets }, (_, i) => bucket + i * buckets)
  return own.map((partition) => {
    const none = { partition, nextOffset: 0, logIdentity: '', createdAt: -Infinity }
    return known.get(partition) ?? { ...none, pause: undefined }
  })
}

function sumOf(a: BucketCounts, b: BucketCounts): BucketCounts {
  return {
    rows: a.rows + b.rows,
    conflicts: a.conflicts + b.conflicts,
    unproven: a.unproven + b.unproven,
    logEntries: a.logEntries + b.logEntries,
  }
}
