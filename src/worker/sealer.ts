// Seals leaves beside the flushes, one at a time, on a connection of its own.
// In:  what to do for which leaf.
// Out: it done, or not: the next turn asks again.
// Absent: what sealing is (ledger/open-leaves.ts), which leaves are due (open-buckets.ts).

import { messageOf } from '../errors.ts'
import type { Logger } from '../observe/logger.ts'
import { connect, type Connection } from '../postgres/connection.ts'

export interface SealerOptions {
  databaseUrl: string
  worker: number
  logger: Logger
}

export class Sealer {
  private readonly options: SealerOptions
  /** In order; a leaf is in it once. */
  private readonly queue = new Map<string, (connection: Connection) => Promise<void>>()
  private running: Promise<void> | undefined
  private connection: Connection | undefined

  constructor(options: SealerOptions) {
    this.options = options
  }

  add(leaf: string, seal: (connection: Connection) => Promise<void>): void {
    if (!this.queue.has(leaf)) this.queue.set(leaf, seal)
    this.running ??= this.run().finally(() => {
      this.running = undefined
    })
  }

  async close(): Promise<void> {
    await this.running
    await this.disconnect()
  }

  /** Until the queue is empty. After a failure all of it is dropped; its owner adds it again. */
  private async run(): Promise<void> {
    try {
      for (const [leaf, seal] of this.queue) {
        // One that was lost while there was nothing to do says nothing of the database now.
        if (this.connection?.lost !== undefined) await this.disconnect()
        this.connection ??= await this.connect()
        await seal(this.connection)
        this.queue.delete(leaf)
      }
    } catch (error) {
      this.options.logger.debug({ reason: messageOf(error) }, 'sealing stopped')
      await this.disconnect()
      // Last, since whatever was added meanwhile will not be done either.
      this.queue.clear()
    }
  }

  private connect(): Promise<Connection> {
    const { databaseUrl, worker } = this.options
    return connect(databaseUrl, { applicationName: `ledger worker ${worker} sealing` })
  }

  private async disconnect(): Promise<void> {
    const { connection } = this
    this.connection = undefined
    await connection?.close().catch(() => undefined)
  }
}
