// One direction of a connection: what is sent arrives in order, after a while, or not at all.
// In:  what shall happen at the other end.
// Out: it happening.
// Absent: what travels.

import type { Random } from '../random.ts'
import type { Life, Scheduler } from './scheduler.ts'

export class Wire {
  private readonly scheduler: Scheduler
  private readonly random: Random
  private lastAt = 0
  private heldUntil = 0
  private isCut = false

  constructor(scheduler: Scheduler, random: Random) {
    this.scheduler = scheduler
    this.random = random
  }

  /** @param life of the end that it arrives at */
  send(life: Life | undefined, arrive: () => void): void {
    const { scheduler } = this
    this.lastAt = Math.max(this.lastAt, scheduler.now + latencyMs(this.random))
    scheduler.after(this.lastAt - scheduler.now, life, () => this.deliver(life, arrive))
  }

  /** Whatever has not arrived yet never does. */
  cut(): void {
    this.isCut = true
  }

  /** Whatever has not arrived yet does so later. */
  hold(milliseconds: number): void {
    this.heldUntil = this.scheduler.now + milliseconds
    this.lastAt = Math.max(this.lastAt, this.heldUntil)
  }

  private deliver(life: Life | undefined, arrive: () => void): void {
    if (this.isCut) return
    const wait = this.heldUntil - this.scheduler.now
    if (wait > 0) this.scheduler.after(wait, life, () => this.deliver(life, arrive))
    else arrive()
  }
}

/** Mostly short, now and then long. */
export function latencyMs(random: Random): number {
  const fraction = random.fraction()
  return fraction < 0.95 ? 0.1 + 4 * fraction : 100 * random.fraction()
}
