// Notices what takes too long, with one timer for all of it.
// In:  things that begin and end.
// Out: a call for each that has not ended in time.
// Absent: a timer per thing.

export class Deadlines<Thing> {
  /**
   * Since all have the same time, the order they began in is the order they are due in, and a Map
   * keeps it.
   */
  private readonly begun = new Map<Thing, number>()
  private readonly timer: NodeJS.Timeout
  private readonly allowedMs: number
  private readonly onLate: (thing: Thing) => void

  /** `onLate` comes at most an eighth of the time too late. */
  constructor(allowedMs: number, onLate: (thing: Thing) => void) {
    this.allowedMs = allowedMs
    this.onLate = onLate
    this.timer = setInterval(() => this.sweep(), Math.ceil(allowedMs / 8)).unref()
  }

  begin(thing: Thing): void {
    this.begun.set(thing, performance.now())
  }

  end(thing: Thing): void {
    this.begun.delete(thing)
  }

  stop(): void {
    clearInterval(this.timer)
    this.begun.clear()
  }

  private sweep(): void {
    const latest = performance.now() - this.allowedMs
    for (const [thing, at] of this.begun) {
      if (at > latest) return
      this.begun.delete(thing)
      this.onLate(thing)
    }
  }
}
