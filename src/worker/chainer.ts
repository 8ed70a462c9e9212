// Keeps the chains of one database close behind what is committed there.
// In:  a database, how often to look.
// Out: links; how far the chains are behind.
// Absent: threads (chain-thread.ts), what a link is (ledger/chain/).

import { setTimeout as delay } from 'node:timers/promises'
import { messageOf, reactionTo } from '../errors.ts'
import { bucketsOf } from '../ledger/buckets.ts'
import { ChainExtender } from '../ledger/chain/extend.ts'
import { observe, type Observation } from '../ledger/chain/settled.ts'
import { readLayout } from '../ledger/migrate.ts'
import type { Logger } from '../observe/logger.ts'
import { connect, type Connection } from '../postgres/connection.ts'

export interface ChainerOptions {
  databaseUrl: string
  intervalMs: number
  logger: Pick<Logger, 'warn' | 'debug'>
  /** Told after each look: of all buckets, since when something may not be linked (Date.now()). */
  onLinked: (since: number) => void
}

/** How often it is looked whether leaves that were open are sealed by now. */
const pollMs = 1000
/** How much longer than a window took the next one waits, so that flushes have the machine. */
const restPerWork = 2
const retryMs = 5000
const firstLookMs = 5000
const answerSeconds = 3600

/** What was seen of a bucket and is not linked yet. */
interface Pending {
  observed: Observation
  at: number
}

export class Chainer {
  readonly #options: ChainerOptions
  readonly #extender = new ChainExtender()
  readonly #pending = new Map<number, Pending>()
  /** Since when something of each bucket may not be linked. */
  readonly #linkedAt = new Map<number, number>()
  readonly #stopping = new AbortController()
  #finishBy: number | undefined
  #isFailing = false

  constructor(options: ChainerOptions) {
    this.#options = options
  }

  /** Runs until it has finished. */
  async run(): Promise<void> {
    const { intervalMs, databaseUrl } = this.#options
    let connection: Connection | undefined
    let due = Date.now() + Math.min(intervalMs, firstLookMs)
    while (!this.#stopping.signal.aborted) {
      const untilDue = Math.max(0, due - Date.now())
      await this.#pause(this.#pending.size > 0 ? Math.min(pollMs, untilDue) : untilDue)
      if (this.#stopping.signal.aborted) break
      try {
        connection ??= await connect(databaseUrl, {
          applicationName: 'ledger chain',
          answerSeconds,
        })
        await this.#turn(connection, Date.now() >= due)
        this.#isFailing = false
      } catch (error) {
        await this.#failed(error, connection)
        connection = undefined
      }
      if (Date.now() >= due) due = Date.now() + intervalMs
    }
    await this.#finish(connection)
  }

  /** Links what is committed by now, as far as the time allows, and ends. */
  finish(milliseconds: number): void {
    this.#finishBy = Date.now() + milliseconds
    this.#stopping.abort()
  }

  async #finish(earlier: Connection | undefined): Promise<void> {
    const { databaseUrl, logger } = this.#options
    try {
      const connection =
        earlier ?? (await connect(databaseUrl, { applicationName: 'ledger chain' }))
      await this.#turn(connection, true)
      await connection.close()
    } catch (error) {
      logger.warn({ reason: messageOf(error) }, 'the chain is linked further at the next start')
      await earlier?.close().catch(() => undefined)
    }
  }

  /** @param looks whether to look how far all buckets are now */
  async #turn(connection: Connection, looks: boolean): Promise<void> {
    if (looks) {
      for (const bucket of bucketsOf(await readLayout(connection))) {
        this.#linkedAt.set(bucket, this.#linkedAt.get(bucket) ?? Date.now())
        // First seen, first linked, or a bucket that always has open leaves never would be.
        if (this.#pending.has(bucket) && this.#finishBy === undefined) continue
        const at = Date.now()
        this.#pending.set(bucket, { observed: await observe(connection, bucket), at })
      }
    }
    for (const pending of [...this.#pending.values()]) {
      if (this.#hasToEnd) return
      await this.#link(connection, pending)
    }
    this.#options.onLinked(Math.min(...this.#linkedAt.values()))
  }

  async #link(connection: Connection, { observed, at }: Pending): Promise<void> {
    const { bucket } = observed
    for (;;) {
      const started = performance.now()
      const done = await this.#extender.extend(connection, observed)
      if (done === undefined) return
      const milliseconds = performance.now() - started
      if (done.links > 0) this.#options.logger.debug({ bucket, ...done, milliseconds }, 'linked')
      if (!done.isBehind) break
      if (this.#hasToEnd) return
      await this.#pause(milliseconds * restPerWork)
    }
    this.#pending.delete(bucket)
    this.#linkedAt.set(bucket, at)
  }

  get #hasToEnd(): boolean {
    return this.#finishBy !== undefined && Date.now() >= this.#finishBy
  }

  async #failed(error: unknown, connection: Connection | undefined): Promise<void> {
    if (reactionTo(error) === undefined) throw error
    if (!this.#isFailing) {
      this.#options.logger.warn({ reason: messageOf(error) }, 'chain failed, retrying')
    }
    this.#isFailing = true
    await connection?.close().catch(() => undefined)
    await this.#pause(retryMs)
  }

  #pause(milliseconds: number): Promise<void> {
    const { signal } = this.#stopping
    return delay(milliseconds, undefined, { signal }).catch(() => undefined)
  }
}
