// Whether processes give back what a fault made them take.
// In:  a scene at rest.
// Out: bytes of each process, and what a process of the same role took before any fault.
// Absent: pages of mapped files: the system keeps and drops those as it likes.

// Measured is RssAnon of /proc/PID/status: the heap, buffers and rings a process really holds. The
// size to come back to is the largest that a process of the same role had in the warm-up: under the
// same load, with one outage of PostgreSQL, which fills every queue as far as it goes.

import { readFileSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import type { MemberRole } from './fault.ts'
import type { LiveScene } from './scene.ts'

const growthMax = 1.1
const settleMs = 60_000
const lookMs = 500

export interface MemberMemory {
  name: string
  bytes: number
  /** The most that one of its role had in the warm-up. */
  usualBytes: number
}

export class Memory {
  readonly #usual = new Map<MemberRole, number>()

  /** Looks at every process until the work is done. */
  async during(scene: LiveScene, work: Promise<void>): Promise<void> {
    let isDone = false
    const done = work.finally(() => (isDone = true))
    while (!isDone) {
      for (const { role, pid } of scene.members) {
        this.#usual.set(role, Math.max(this.#usual.get(role) ?? 0, ownBytes(pid)))
      }
      await Promise.race([done, delay(lookMs)])
    }
  }

  /** Waits until every process is small enough, or the time is over; or only tells. */
  async look(
    scene: LiveScene,
    judges: boolean,
  ): Promise<{ members: MemberMemory[]; breaches: string[] }> {
    const deadline = Date.now() + settleMs
    for (;;) {
      const members = scene.members.map(({ name, pid, role }) => ({
        name,
        bytes: ownBytes(pid),
        usualBytes: this.#usual.get(role) ?? 0,
      }))
      const large = members.filter(({ bytes, usualBytes }) => bytes > usualBytes * growthMax)
      if (!judges) return { members, breaches: [] }
      if (large.length === 0 || Date.now() > deadline) {
        return { members, breaches: large.map(tooLarge) }
      }
      await delay(lookMs)
    }
  }
}

function tooLarge({ name, bytes, usualBytes }: MemberMemory): string {
  const limit = `${mebibytes(usualBytes * growthMax)}, a tenth above what its role took at first`
  return `${name} holds ${mebibytes(bytes)} after a minute at rest; expected at most ${limit}`
}

export function mebibytes(bytes: number): string {
  return `${(bytes / 2 ** 20).toFixed(0)} MiB`
}

function ownBytes(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8')
  return Number(/^RssAnon:\s+(\d+) kB$/m.exec(status)?.[1]) * 1024
}
