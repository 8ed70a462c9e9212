// The short gauntlet that runs with all other tests.
// In:  which log.
// Out: a test.
// Absent: trials, each of which takes a scene of its own (npm run gauntlet).

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { allFaults } from './catalogue.ts'
import type { LogKind } from './fault.ts'
import { describeMachine } from './machine.ts'
import { reportText } from './report-text.ts'
import { persistingMsMax, runGauntlet } from './run.ts'
import { makeSchedule } from './schedule.ts'

const seed = 20_260_101
/** Three brokers and four processes share two cores with the checker. */
const rates: Readonly<Record<LogKind, number>> = { embedded: 4_000, kafka: 1_000 }

export function testGauntlet(log: LogKind, minutes: number): void {
  test(`on the ${log} log everything holds, whatever strikes in ${minutes} minutes`, async () => {
    const itemsPerSecond = rates[log]
    const faults = allFaults.filter(({ logs }) => logs.includes(log))
    const schedule = makeSchedule({ seed, minutes, log, faults })
    const run = await runGauntlet({ schedule, faults, itemsPerSecond, print: () => undefined })
    const shared = { seed, minutes, logs: [log], faults: [], itemsPerSecond }
    const options = { ...shared, trials: false, out: '', quiet: true }
    const machine = await describeMachine()
    const report = { options, runs: [run], trials: [], machine, finishedAt: new Date() }
    console.log(reportText(report))
    assert.deepEqual(run.breaches, [], 'see the report above')
    // A machine that does other things meanwhile is late; the report above tells by how much.
    const { recoveries } = run.timeline
    const usual = recoveries.map((one) => one.persistedMs).sort((a, b) => a - b)
    assert((usual[usual.length >> 1] ?? Infinity) <= persistingMsMax, run.missed.join('\n'))
    assert(run.timeline.recoveries.length >= 3, 'faults have struck')
    assert(run.acknowledgedItems > 10_000, 'there was a load')
  })
}
