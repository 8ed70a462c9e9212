// A consumer group: which partitions each process is told to work on.
// In:  processes that come, go, die and stand still.
// Out: assignments, each told after a while of its own, so that two may believe they have the same.
// Absent: who really has a partition: the checkpoints decide.

import type { Membership } from '../../log/log.ts'
import type { Random } from '../random.ts'
import { simulatedPartitions } from './product.ts'
import type { Life, Scheduler } from './scheduler.ts'

const all = Array.from({ length: simulatedPartitions }, (_, partition) => partition)

interface Member {
  life: Life
  onAssigned: (partitions: readonly number[]) => void
  /** Of the assignments, the newest that it was told. */
  toldVersion: number
}

export class Group {
  private readonly scheduler: Scheduler
  private readonly random: Random
  private readonly trace: (text: () => string) => void
  private members: Member[] = []
  private isDue = false
  private version = 0

  constructor(scheduler: Scheduler, random: Random, trace: (text: () => string) => void) {
    this.scheduler = scheduler
    this.random = random
    this.trace = trace
  }

  membership(life: Life): Membership {
    return {
      start: (onAssigned) => {
        this.members.push({ life, onAssigned, toldVersion: 0 })
        this.rebalanceLater()
        return Promise.resolve()
      },
      stop: () => {
        this.remove(life)
        return Promise.resolve()
      },
    }
  }

  /** It has left, or nothing was heard of it for too long. */
  remove(life: Life): Member[] {
    const gone = this.members.filter((member) => member.life === life)
    this.members = this.members.filter((member) => member.life !== life)
    if (gone.length > 0) this.rebalanceLater()
    return gone
  }

  /** It stood still, and is heard of again. */
  rejoin(members: readonly Member[]): void {
    const alive = members.filter(({ life }) => !life.ended)
    this.members.push(...alive)
    this.rebalanceLater()
  }

  rebalanceLater(): void {
    if (this.isDue) return
    this.isDue = true
    this.scheduler.after(300 * this.random.fraction(), undefined, () => {
      this.isDue = false
      this.rebalance()
    })
  }

  private rebalance(): void {
    const { members, random, scheduler } = this
    if (members.length === 0) return
    const shares = new Map<Member, number[]>(members.map((member) => [member, []]))
    for (const partition of all) shares.get(random.pick(members))?.push(partition)
    this.trace(() => `group: ${[...shares.values()].map((one) => `[${one.join()}]`).join(' ')}`)
    const version = ++this.version
    for (const [member, partitions] of shares) {
      scheduler.after(200 * random.fraction(), member.life, () => {
        if (!this.members.includes(member) || member.toldVersion > version) return
        member.toldVersion = version
        member.onAssigned(partitions)
      })
    }
  }
}

/** Everything, at once, whoever else has it too. */
export function everything(): Membership {
  return {
    start: (onAssigned) => {
      onAssigned(all)
      return Promise.resolve()
    },
    stop: () => Promise.resolve(),
  }
}
