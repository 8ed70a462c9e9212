// Every fault there is.
// In:  the rooms of faults.
// Out: one list, in the order of the report.
// Absent: which of them strike (schedule.ts).

import type { Fault, Trial } from './fault.ts'
import { brokerFaults } from './faults/brokers.ts'
import { clientFaults } from './faults/clients.ts'
import { clockFaults } from './faults/clock.ts'
import { groupFaults } from './faults/groups.ts'
import { networkFaults } from './faults/network.ts'
import { postgresFaults } from './faults/postgres.ts'
import { processFaults } from './faults/processes.ts'
import { recordFaults } from './faults/records.ts'
import { diskTrials } from './trials/disk-full.ts'
import { restoredCopies } from './trials/restored-copies.ts'
import { topicTrials } from './trials/topic-accidents.ts'

export const allFaults: readonly Fault[] = [
  ...processFaults,
  ...networkFaults,
  ...postgresFaults,
  ...brokerFaults,
  ...groupFaults,
  ...recordFaults,
  ...clockFaults,
  ...clientFaults,
]

export const allTrials: readonly Trial[] = [...restoredCopies, ...topicTrials, ...diskTrials]
