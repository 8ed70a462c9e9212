// One direction of a connection through the proxy.
// In:  bytes of one socket, and the conditions as they are now.
// Out: the same bytes to another socket, later, slower, or not at all; and how the first one ended.
// Absent: what the bytes mean.

import { once } from 'node:events'
import type { Socket } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import type { Conditions } from './conditions.ts'

/** What becomes of a piece: so many bytes pass, and then, if that is set, it is called. */
export interface Verdict {
  pass: number
  afterwards?: () => void
}

export interface PipeOptions {
  source: Socket
  target: Socket
  conditions: () => Conditions
  /** Whether anything may pass now. */
  isOpen: () => boolean
  /** Sees every byte as it comes. */
  inspect: (chunk: Buffer) => Verdict
}

interface Waiting {
  chunk: Buffer
  due: number
  afterwards: (() => void) | undefined
}

/** What may be on its way, as if on a long line; more waits in the sender. */
const underwayBytesMax = 1 << 20
/** A throttled connection gets its bytes in so many pieces a second. */
const piecesPerSecond = 20

export class Pipe {
  readonly #options: PipeOptions
  readonly #waiting: Waiting[] = []
  #waitingBytes = 0
  #end: 'finish' | 'reset' | undefined
  #wake: () => void = () => undefined

  constructor(options: PipeOptions) {
    this.#options = options
    const { source, target } = options
    source.on('data', (chunk: Buffer) => this.#take(chunk))
    source.on('end', () => this.#ended('finish'))
    source.on('close', () => this.#ended('reset'))
    target.on('close', () => this.wake())
  }

  /** Looks at the conditions again. */
  wake(): void {
    this.#wake()
  }

  /** Passes bytes on until the source has ended, as the target is then told, or the target has. */
  async run(): Promise<void> {
    const { target } = this.#options
    for (let next = await this.#next(); next !== undefined; next = await this.#next()) {
      await this.#write(next)
    }
    if (target.destroyed) return
    if (this.#end === 'reset') target.resetAndDestroy()
    else target.end()
  }

  #ended(how: 'finish' | 'reset'): void {
    this.#end ??= how
    this.#wake()
  }

  #take(chunk: Buffer): void {
    const { conditions, source, inspect } = this.#options
    const { pass, afterwards } = inspect(chunk)
    if (pass === 0) return
    const due = performance.now() + conditions().delayMs
    this.#waiting.push({ chunk: chunk.subarray(0, pass), due, afterwards })
    this.#waitingBytes += pass
    if (this.#waitingBytes > underwayBytesMax) source.pause()
    this.#wake()
  }

  /** The next bytes once they are due; `undefined` when there will be none. */
  async #next(): Promise<Waiting | undefined> {
    for (;;) {
      if (this.#options.target.destroyed) return undefined
      const isOpen = this.#options.isOpen()
      const head = this.#waiting.at(0)
      // An RST overtakes what was on its way.
      if (isOpen && (this.#end === 'reset' || (this.#end === 'finish' && head === undefined))) {
        return undefined
      }
      const left = head === undefined ? Infinity : head.due - performance.now()
      if (isOpen && left <= 0) return this.#waiting.shift()
      await this.#change(left > 0 ? left : Infinity)
    }
  }

  async #change(withinMs: number): Promise<void> {
    await new Promise<void>((resolve) => {
      const timer = Number.isFinite(withinMs) ? setTimeout(resolve, withinMs) : undefined
      this.#wake = () => {
        clearTimeout(timer)
        resolve()
      }
    })
    this.#wake = () => undefined
  }

  async #write({ chunk, afterwards }: Waiting): Promise<void> {
    const { target, source } = this.#options
    for (let at = 0; at < chunk.length && !target.destroyed;) {
      const { bytesPerSecond } = this.#options.conditions()
      const piece = Math.ceil(Math.min(chunk.length - at, bytesPerSecond / piecesPerSecond))
      const flows = target.write(chunk.subarray(at, at + piece))
      if (!flows) await drained(target)
      at += piece
      if (Number.isFinite(bytesPerSecond)) await delay((piece / bytesPerSecond) * 1000)
    }
    this.#waitingBytes -= chunk.length
    if (this.#waitingBytes <= underwayBytesMax && !source.destroyed) source.resume()
    afterwards?.()
  }
}

async function drained(socket: Socket): Promise<void> {
  if (socket.destroyed) return
  const settled = new AbortController()
  const { signal } = settled
  await Promise.race([
    once(socket, 'drain', { signal }).catch(() => undefined),
    once(socket, 'close', { signal }).catch(() => undefined),
  ])
  settled.abort()
}
