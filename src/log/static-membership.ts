// A membership that never changes: the partitions an operator named, or all of them.
// In:  partitions.
// Out: the same partitions.
// Absent: other processes; the checkpoint's epoch sorts out two that were given the same.

import type { Membership } from './log.ts'

export function staticMembership(partitions: readonly number[]): Membership {
  return {
    start: (onAssigned) => {
      onAssigned(partitions)
      return Promise.resolve()
    },
    stop: () => Promise.resolve(),
  }
}
