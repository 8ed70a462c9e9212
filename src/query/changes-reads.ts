// Reads of changes, few at a time, and one for all who want the same.
// In:  windows.
// Out: what is new in them.
// Absent: who wants what (changes-feed.ts).

import { LedgerError } from '../errors.ts'
import { isProgress, type BucketChanges, type Window } from '../ledger/changes.ts'
import { changesReadersMax, changesReadsMax } from '../limits.ts'
import { Gate } from '../postgres/gate.ts'

/** Results that are kept for those who come a moment later: of readers that are at the head. */
const keptRowsMax = 1000
const keptMax = 64

export class SharedReads {
  readonly #read: (window: Window) => Promise<BucketChanges>
  readonly #gate = new Gate({
    insideMax: changesReadsMax,
    waitingMax: changesReadersMax,
    waitMs: 60_000,
  })
  readonly #results = new Map<string, Promise<BucketChanges>>()
  #spentMs = 0

  constructor(read: (window: Window) => Promise<BucketChanges>) {
    this.#read = read
  }

  /** How long the reads since the last call took, in milliseconds. */
  spent(): number {
    const spent = this.#spentMs
    this.#spentMs = 0
    return spent
  }

  read(window: Window): Promise<BucketChanges> {
    const { bucket, known, floor, ceiling } = window
    const key = JSON.stringify([bucket, floor, ceiling, [...known].map(([p, m]) => [p, String(m)])])
    const shared = this.#results.get(key)
    if (shared) return shared
    const result = this.#inTurn(window)
    this.#results.set(key, result)
    result.then(
      (changes) => {
        // One that brought nobody further is asked for again in the very same words.
        const isOfUse = changes.read <= keptRowsMax && isProgress(window, changes)
        if (!isOfUse) this.#results.delete(key)
        else this.#forgetOldest()
      },
      () => this.#results.delete(key),
    )
    return result
  }

  #forgetOldest(): void {
    for (const key of this.#results.keys()) {
      if (this.#results.size <= keptMax) return
      this.#results.delete(key)
    }
  }

  async #inTurn(window: Window): Promise<BucketChanges> {
    const refused = await this.#gate.enter()
    if (refused !== undefined)
      throw new LedgerError('OVERLOADED', 'Reads of changes wait too long.')
    const started = performance.now()
    try {
      return await this.#read(window)
    } finally {
      this.#spentMs += performance.now() - started
      this.#gate.leave()
    }
  }
}
