// Bad records that were put into the log on purpose.
// In:  partition, offset and what is wrong with it.
// Out: what quarantine must hold, no more and no less.
// Absent: putting them there.

import type { InjectedRecords } from './fault.ts'

export class Injected implements InjectedRecords {
  /** What is wrong, by `partition/offset`. */
  readonly records = new Map<string, string>()

  add(partition: number, offset: number, what: string): void {
    this.records.set(`${partition}/${offset}`, what)
  }

  get count(): number {
    return this.records.size
  }
}
