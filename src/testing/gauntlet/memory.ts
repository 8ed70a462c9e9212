// Whether processes give back what a fault made them take.
// In:  a scene at rest.
// Out: bytes of each process, and what a process of the same role settled at before.
// Absent: pages of mapped files: the system keeps and drops those as it likes.

// Measured is RssAnon of /proc/PID/status: the heap, buffers and rings a process really holds. The
// size to come back to is taken once, after a load and one outage of PostgreSQL under it, which
// fills every queue as far as it goes; no other fault has struck by then.

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
  /** Of its role. */
  settledBytes: number
}

export class Memory {
  readonly #settled = new Map<MemberRole, number>()

  /** To be called once, at rest. */
  settle(scene: LiveScene): void {
    for (const { role, pid } of scene.members) {
      this.#settled.set(role, Math.max(this.#settled.get(role) ?? 0, ownBytes(pid)))
    }
  }

  /** Waits until every process is small enough, or the time is over. */
  async look(scene: LiveScene): Promise<{ members: MemberMemory[]; breaches: string[] }> {
    const deadline = Date.now() + settleMs
    for (;;) {
      const members = scene.members.map(({ name, pid, role }) => ({
        name,
        bytes: ownBytes(pid),
        settledBytes: this.#settled.get(role) ?? 0,
      }))
      const large = members.filter(({ bytes, settledBytes }) => bytes > settledBytes * growthMax)
      if (large.length === 0 || Date.now() > deadline) {
        return { members, breaches: large.map(tooLarge) }
      }
      await delay(lookMs)
    }
  }
}

function tooLarge({ name, bytes, settledBytes }: MemberMemory): string {
  const limit = `${mebibytes(settledBytes * growthMax)}, a tenth above where its role had settled`
  return `${name} holds ${mebibytes(bytes)} after a minute at rest; expected at most ${limit}`
}

export function mebibytes(bytes: number): string {
  return `${(bytes / 2 ** 20).toFixed(0)} MiB`
}

function ownBytes(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8')
  return Number(/^RssAnon:\s+(\d+) kB$/m.exec(status)?.[1]) * 1024
}
