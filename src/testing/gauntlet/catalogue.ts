// Every fault there is.
// In:  the rooms of faults.
// Out: one list, in the order of the report.
// Absent: which of them strike (schedule.ts).

import type { Fault, Trial } from './fault.ts'
import { clientFaults } from './faults/clients.ts'
import { postgresFaults } from './faults/postgres.ts'
import { processFaults } from './faults/processes.ts'
import { restoredCopies } from './trials/restored-copies.ts'

export const allFaults: readonly Fault[] = [...processFaults, ...postgresFaults, ...clientFaults]

export const allTrials: readonly Trial[] = [...restoredCopies]
