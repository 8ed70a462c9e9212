// Time as a simulation has it: nothing happens but what is due next.
// In:  what shall happen after how long, and whose life it belongs to.
// Out: it done, one thing after the other, each with all that follows from it at once.
// Absent: real time, chance.

import assert from 'node:assert/strict'
import type { Surroundings } from './environment.ts'

/** What belongs to a process that ended never happens; to one that stands still, later. */
export interface Life {
  readonly ended: boolean
  /** In milliseconds of simulated time. */
  readonly pausedUntil: number
  /** What the program finds around itself there. */
  readonly surroundings: Surroundings
}

let running: Life | undefined

/** Around whatever of the program runs now. All processes run the same modules, in turn. */
export function here(): Surroundings {
  assert(running, 'the program runs outside of its processes')
  return running.surroundings
}

export interface Due {
  at: number
  /** Of two things due at once, what was asked for first comes first. */
  readonly order: number
  readonly life: Life | undefined
  readonly run: () => void
  cancelled: boolean
}

export class Scheduler {
  /** Milliseconds since the simulation began. */
  now = 0
  private readonly heap: Due[] = []
  private ordered = 0

  after(milliseconds: number, life: Life | undefined, run: () => void): Due {
    const at = this.now + Math.max(0, milliseconds)
    const due = { at, order: this.ordered++, life, run, cancelled: false }
    this.push(due)
    return due
  }

  /**
   * Lets time pass until `isOver` says so, or nothing is due. Between two things every promise that
   * can go on does: the real setImmediate comes after all microtasks. So these too run in the life
   * of what they follow from.
   */
  run(isOver: () => boolean): Promise<void> {
    return new Promise((resolve, reject) => {
      const step = (): void => {
        try {
          const due = this.next()
          if (due === undefined || isOver()) {
            resolve()
            return
          }
          this.now = Math.max(this.now, due.at)
          running = due.life
          due.run()
        } catch (error) {
          reject(asError(error))
          return
        }
        setImmediate(step)
      }
      step()
    })
  }

  private next(): Due | undefined {
    for (;;) {
      const due = this.pop()
      if (due === undefined) return undefined
      if (due.cancelled || due.life?.ended === true) continue
      if (due.life === undefined || due.life.pausedUntil <= due.at) return due
      due.at = due.life.pausedUntil
      this.push(due)
    }
  }

  private push(due: Due): void {
    const { heap } = this
    let place = heap.length
    heap.push(due)
    while (place > 0) {
      const parent = (place - 1) >> 1
      if (!isBefore(due, heap[parent])) break
      heap[place] = heap[parent]
      place = parent
    }
    heap[place] = due
  }

  private pop(): Due | undefined {
    const { heap } = this
    const first = heap.at(0)
    const last = heap.pop()
    if (last === undefined || heap.length === 0) return first
    let place = 0
    for (;;) {
      let child = 2 * place + 1
      if (child >= heap.length) break
      if (child + 1 < heap.length && isBefore(heap[child + 1], heap[child])) child++
      if (!isBefore(heap[child], last)) break
      heap[place] = heap[child]
      place = child
    }
    heap[place] = last
    return first
  }
}

function isBefore(left: Due, right: Due): boolean {
  return left.at < right.at || (left.at === right.at && left.order < right.order)
}

function asError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(String(thrown))
}
