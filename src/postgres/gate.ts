// So many at a time, so many waiting in line, and for so long: more are turned away at once.
// In:  who wants in.
// Out: a way out for each that got in; 'full', 'late' or 'gone' for those that did not.
// Absent: what is done inside.

export interface GateLimits {
  insideMax: number
  waitingMax: number
  /** How long one may wait. */
  waitMs: number
}

/** `full`: too many wait already; `late`: waited too long; `gone`: gave up waiting. */
export type Refused = 'full' | 'late' | 'gone'

export class Gate {
  readonly #limits: GateLimits
  #inside = 0
  /** In the order in which they came. */
  readonly #waiting = new Set<() => void>()

  constructor(limits: GateLimits) {
    this.#limits = limits
  }

  /** Those inside and those waiting. */
  get load(): number {
    return this.#inside + this.#waiting.size
  }

  get inside(): number {
    return this.#inside
  }

  /** Resolves to `undefined` once inside; whoever is must leave() once. */
  enter(signal?: AbortSignal): Promise<Refused | undefined> {
    if (signal?.aborted) return Promise.resolve('gone')
    if (this.#inside < this.#limits.insideMax) {
      this.#inside++
      return Promise.resolve(undefined)
    }
    if (this.#waiting.size >= this.#limits.waitingMax) return Promise.resolve('full')
    return new Promise((resolve) => {
      const settle = (refused?: Refused): void => {
        this.#waiting.delete(admit)
        clearTimeout(timer)
        signal?.removeEventListener('abort', leave)
        resolve(refused)
      }
      const admit = (): void => settle()
      const leave = (): void => settle('gone')
      const timer = setTimeout(() => settle('late'), this.#limits.waitMs)
      signal?.addEventListener('abort', leave, { once: true })
      this.#waiting.add(admit)
    })
  }

  leave(): void {
    const [next] = this.#waiting
    // The place goes to the next in line, so nobody who comes later takes it.
    if (next) next()
    else this.#inside--
  }
}
