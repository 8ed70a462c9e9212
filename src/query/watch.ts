// Looks at how far one database is persisted, for everybody who waits, and only while somebody
// does.
// In:  those who wait.
// Out: what was found, to each of them, from a look that began after they came.
// Absent: SQL (ledger/progress.ts), receipts, deadlines (persistence.ts).

import { LedgerError } from '../errors.ts'
import type { Progress } from '../ledger/progress.ts'
import { watchGapMsMax, watchGapMsMin, watchRetryMs } from '../limits.ts'
import { metrics } from '../observe/metrics.ts'

export interface Watcher {
  /** Told after each look; may leave in there. */
  found(progress: Progress): void
  /** A look failed, and the next one may not. */
  failed(error: LedgerError): void
  /** A look failed as every other would. */
  broke(error: unknown): void
}

/*
 * There is one look at a time, however many wait. Between two there is a gap, which grows with how
 * long the last who came has waited, by a quarter: whoever waits 20 ms hears 5 ms late at most, and
 * one who waits for seconds asks for little. Nothing is remembered between looks: after a crash of
 * PostgreSQL a checkpoint may be found further back than before.
 */
export class DatabaseWatch {
  readonly #look: () => Promise<Progress>
  /** Those who wait, with the time they came. */
  readonly #watchers = new Map<Watcher, number>()
  #timer: NodeJS.Timeout | undefined
  #dueAt = Infinity
  #isLooking = false
  #lookedAt = -Infinity
  #hasFailed = false
  #lastCame = 0

  constructor(look: () => Promise<Progress>) {
    this.#look = look
  }

  join(watcher: Watcher): void {
    this.#lastCame = performance.now()
    this.#watchers.set(watcher, this.#lastCame)
    this.#schedule()
  }

  leave(watcher: Watcher): void {
    this.#watchers.delete(watcher)
    if (this.#watchers.size > 0) return
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.#dueAt = Infinity
  }

  #schedule(): void {
    if (this.#isLooking || this.#watchers.size === 0) return
    const now = performance.now()
    const waited = (now - this.#lastCame) / 4
    const gap = Math.min(Math.max(waited, watchGapMsMin), watchGapMsMax)
    const dueAt = Math.max(this.#lookedAt + (this.#hasFailed ? watchRetryMs : gap), now)
    if (dueAt >= this.#dueAt) return
    clearTimeout(this.#timer)
    this.#dueAt = dueAt
    this.#timer = setTimeout(() => void this.#lookNow(), dueAt - now)
  }

  async #lookNow(): Promise<void> {
    this.#isLooking = true
    this.#timer = undefined
    this.#dueAt = Infinity
    const asking = [...this.#watchers.keys()]
    const tell = await this.#ask()
    this.#isLooking = false
    this.#lookedAt = performance.now()
    // Who left meanwhile, or came after the question was put, is not told.
    for (const watcher of asking) if (this.#watchers.has(watcher)) tell(watcher)
    this.#schedule()
  }

  async #ask(): Promise<(watcher: Watcher) => void> {
    metrics.progressReads.inc()
    try {
      const progress = await this.#look()
      this.#hasFailed = false
      return (watcher) => watcher.found(progress)
    } catch (error) {
      this.#hasFailed = true
      if (error instanceof LedgerError && error.reaction === 'retry') {
        return (watcher) => watcher.failed(error)
      }
      return (watcher) => watcher.broke(error)
    }
  }
}
