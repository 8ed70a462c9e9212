// The partitions a worker holds: how far each is applied, under which epoch it may be moved, which
// slices count.
// In:  claims, revocations, what PostgreSQL says of the checkpoints.
// Out: the position of each partition; what must be read again; what was lost to another owner.
// Absent: SQL, messages.

import type { Checkpoint, CheckpointStep, Pause } from '../ledger/flush.ts'
import type { HeldPartition } from '../ledger/open-leaves.ts'
import type { Position } from './protocol.ts'

interface Held {
  epoch: number
  /** Us, as it stood beside the epoch when it was claimed. */
  owner: string
  /** Next offset to apply: what PostgreSQL has, as far as this worker knows. */
  position: number
  /** When the rows of the last record before that were created, in microseconds since 2000. */
  createdAt: number
  /** Slices read under another generation are dropped. */
  generation: number
}

export interface Reconciled {
  /** [partition, next offset] of moves that turn out to have been committed. */
  confirmed: [number, number][]
  /** Partitions to be read again from where PostgreSQL stands. */
  rewound: Position[]
  /** Partitions that have another epoch or owner now. */
  lost: Checkpoint[]
}

export class HeldPartitions {
  private readonly held = new Map<number, Held>()
  private lastGeneration = 0

  get partitions(): number[] {
    return [...this.held.keys()]
  }

  /** Takes up partitions as claimed; returns from where each is to be read. */
  claim(checkpoints: readonly Checkpoint[]): Position[] {
    return checkpoints.map(({ partition, nextOffset, epoch, owner, createdAt = -Infinity }) => {
      const generation = ++this.lastGeneration
      this.held.set(partition, { epoch, owner, position: nextOffset, createdAt, generation })
      return { partition, offset: nextOffset, generation }
    })
  }

  release(partitions: readonly number[]): void {
    for (const partition of partitions) this.held.delete(partition)
  }

  /** Whether a record is still to be applied by this worker. */
  wants(partition: number, generation: number, offset: number): boolean {
    const held = this.held.get(partition)
    return held !== undefined && held.generation === generation && offset >= held.position
  }

  /** Those of the partitions that are held, with their epochs. */
  epochsOf(partitions: readonly number[]): HeldPartition[] {
    return partitions.flatMap((partition) => {
      const held = this.held.get(partition)
      return held ? [{ partition, epoch: held.epoch }] : []
    })
  }

  /** When the rows of the last record applied were created. */
  createdAt(partition: number): number {
    return this.held.get(partition)?.createdAt ?? -Infinity
  }

  /**
   * The move of a partition to `to`, as the compare-and-set will check it. `createdAt` is that of
   * the last record with rows in between, where there is one.
   */
  step(
    partition: number,
    to: number,
    created: { createdAt?: number; pause?: Pause } = {},
  ): CheckpointStep | undefined {
    const held = this.held.get(partition)
    return held && { partition, from: held.position, to, epoch: held.epoch, ...created }
  }

  /** Records a committed move. A partition revoked meanwhile stays revoked. */
  advance(steps: readonly CheckpointStep[]): void {
    for (const { partition, to, epoch, createdAt } of steps) {
      const held = this.held.get(partition)
      if (held?.epoch !== epoch) continue
      held.position = to
      held.createdAt = createdAt ?? held.createdAt
    }
  }

  /**
   * Compares with what PostgreSQL says. `attempted` are the moves of a flush whose outcome is
   * unknown or that was stale: where PostgreSQL stands at the end of such a move, it was committed.
   * Where it stands anywhere else than expected, PostgreSQL is right: the partition is read again
   * from there, forwards or backwards.
   */
  reconcile(
    checkpoints: readonly Checkpoint[],
    attempted: readonly CheckpointStep[] = [],
  ): Reconciled {
    const moves = new Map(attempted.map((step) => [step.partition, step]))
    const result: Reconciled = { confirmed: [], rewound: [], lost: [] }
    for (const checkpoint of checkpoints) {
      const { partition, nextOffset, epoch, owner, createdAt = -Infinity } = checkpoint
      const held = this.held.get(partition)
      if (!held) {
        // Given up in the middle of a flush: worth saying if it was taken from us before that.
        const move = moves.get(partition)
        if (move && move.epoch !== epoch) result.lost.push(checkpoint)
        continue
      }
      held.createdAt = createdAt
      // In a database that was restored, epochs that were given before are given again.
      if (epoch !== held.epoch || owner !== held.owner) {
        this.held.delete(partition)
        result.lost.push(checkpoint)
      } else if (nextOffset === moves.get(partition)?.to) {
        held.position = nextOffset
        result.confirmed.push([partition, nextOffset])
      } else if (nextOffset !== held.position) {
        held.position = nextOffset
        held.generation = ++this.lastGeneration
        result.rewound.push({ partition, offset: nextOffset, generation: held.generation })
      }
    }
    return result
  }
}
