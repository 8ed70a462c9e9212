// Wall clocks that are stepped back and forth under the running program.
// In:  a scene whose programs have a movable clock (testing/clock.ts).
// Out: faults.
// Absent: the clocks of PostgreSQL and of brokers.

import type { Clock, Fault, Scene } from '../fault.ts'

const logs = ['embedded', 'kafka'] as const
const minuteMs = 60_000
const dayMs = 24 * 60 * minuteMs

function clockOf(scene: Scene): Clock {
  if (scene.clock === undefined) throw new Error('Expected a scene with a movable clock.')
  return scene.clock
}

function steps(name: string, what: string, leastMs: number, mostMs: number): Fault {
  return {
    name,
    kind: 'clock',
    what,
    logs,
    holdMs: [500, 4_000],
    movesClocks: true,
    unavailable: (scene) =>
      scene.clock === undefined ? 'programs here have no movable clock' : undefined,
    inject: async (scene, random) => {
      const clock = clockOf(scene)
      const aheadMs = random.between(leastMs, mostMs)
      clock.set(aheadMs)
      await clock.noticed()
      scene.note(`${name}: ${Math.round(aheadMs / 1000)} s ahead of the real clock`)
      return async () => {
        clock.set(0)
        await clock.noticed()
      }
    },
  }
}

export const clockFaults: readonly Fault[] = [
  steps(
    'clock-back',
    'Wall clocks of the program jump back, and later forth again.',
    -2 * dayMs,
    -1_000,
  ),
  // A broker takes no record from more than an hour ahead of its own clock.
  steps(
    'clock-forth',
    'Wall clocks of the program jump ahead, and later back.',
    1_000,
    50 * minuteMs,
  ),
  steps(
    'clock-day-forth',
    'Wall clocks of the program jump days ahead, and later back.',
    dayMs,
    3 * dayMs,
  ),
]
