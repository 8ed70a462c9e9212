// What happened when, for people who read a failure or the report.
// In:  sentences, samples, recoveries.
// Out: the same, with the seconds since the start.
// Absent: judgement.

export interface Recovery {
  /** Of the step in the schedule. */
  step: number
  faults: readonly string[]
  /** Seconds since the start. */
  struckAt: number
  healedAt: number
  /** Until a request sent after the healing was acknowledged, by every process that takes any. */
  acknowledgedMs: number
  /** Until what was acknowledged then was in PostgreSQL, of every partition. */
  persistedMs: number
}

export interface Sample {
  /** Seconds since the start. */
  at: number
  /** Since the sample before. */
  acknowledged: number
  persisted: number
}

export class Timeline {
  readonly startedAt = Date.now()
  readonly lines: string[] = []
  readonly recoveries: Recovery[] = []
  readonly samples: Sample[] = []
  readonly #print: (line: string) => void

  constructor(print: (line: string) => void) {
    this.#print = print
  }

  /** Seconds since the start. */
  seconds(now = Date.now()): number {
    return (now - this.startedAt) / 1000
  }

  note(text: string): void {
    const line = `${this.seconds().toFixed(3).padStart(9)}  ${text}`
    this.lines.push(line)
    this.#print(line)
  }
}
