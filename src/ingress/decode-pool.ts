// The decode threads: large JSON bodies are read there, and the main thread goes on with HTTP.
// In:  bodies in shared memory.
// Out: their batches, in the same memory; or why they are refused.
// Absent: small bodies and protobuf, which cost less than the way to a thread; what becomes of a
//         batch.

/*
 * A body counts against the budget of requests under way for as long as it waits for a thread, is
 * read by one, and is copied from; so the queue is bounded in bytes as everything else is. When a
 * thread dies the request it had is refused, since nothing of it was taken, and another thread
 * takes its place.
 */

import { Piscina } from 'piscina'
import { taskModule } from '../artifact/threads.ts'
import { LedgerError } from '../errors.ts'
import type { KeptBody } from '../http/http.ts'
import { decodeQueueMax } from '../limits.ts'
import type { Logger } from '../observe/logger.ts'
import type { Batch, RequestFault } from '../batch/batch.ts'
import { decodedBatch, type DecodeResult, type DecodeTask } from './decode-thread.ts'

export interface DecodePoolOptions {
  threads: number
  /** The module that the threads run; decode-thread.ts unless given. */
  filename?: string
  logger: Logger
}

export class DecodePool {
  private readonly pool: Piscina<DecodeTask, DecodeResult>
  private readonly filename: string
  private underWay = 0
  private isClosing = false
  private onIdle: () => void = () => undefined

  constructor({ threads, filename, logger }: DecodePoolOptions) {
    this.filename = filename ?? taskModule('ingress/decode-thread')
    this.pool = new Piscina<DecodeTask, DecodeResult>({
      filename: this.filename,
      minThreads: threads,
      maxThreads: threads,
      idleTimeout: Infinity,
      maxQueue: decodeQueueMax,
      recordTiming: false,
    })
    this.pool.on('error', (error: unknown) => {
      logger.error({ err: error }, 'a decode thread died')
    })
  }

  /**
   * Reads a body and hands its batch to `take`, or returns why it is refused. The body is released
   * in any case; the batch is valid until `take` returns.
   *
   * Rejects with STOPPING or OVERLOADED, or with another error when the thread died: then nothing
   * was handed to `take`.
   */
  async decode<T>(
    body: KeptBody,
    take: (batch: Batch) => T,
    balanced = false,
  ): Promise<{ taken: T } | RequestFault> {
    this.underWay += 1
    try {
      const { memory, length } = body
      this.assertTakes()
      const result = await this.pool.run({ memory, bodyBytes: length, balanced })
      if (typeof result !== 'number') return result
      return { taken: take(decodedBatch(memory, result)) }
    } finally {
      body.release()
      this.underWay -= 1
      if (this.underWay === 0) this.onIdle()
    }
  }

  /**
   * Takes nothing more, and resolves when every body it has was handed on and the threads ended.
   */
  async close(): Promise<void> {
    this.isClosing = true
    if (this.underWay > 0) await new Promise<void>((resolve) => (this.onIdle = resolve))
    await this.pool.destroy()
  }

  private assertTakes(): void {
    if (this.isClosing) {
      const message = 'This process is stopping and takes no more transactions.'
      throw new LedgerError('STOPPING', message)
    }
    if (this.pool.queueSize < decodeQueueMax) return
    const found = `${decodeQueueMax} requests wait for a decode thread`
    throw new LedgerError('OVERLOADED', `${found}. Nothing of this one was taken.`)
  }
}
