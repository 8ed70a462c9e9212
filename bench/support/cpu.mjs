// CPU seconds by process over a run.
// In:  a deployment and a load generator.
// Out: seconds since the meter was made, of each process that can be seen from here.
// Absent: other machines.

import { cpuOf, cpuOfTree } from './processes.mjs'

export class CpuMeter {
  #deployment
  #loadPid
  #before
  /** Of programs that were killed: their count goes with them. */
  #gone = 0
  #last

  constructor(deployment, loadPid) {
    this.#deployment = deployment
    this.#loadPid = loadPid
    this.#before = this.#look()
  }

  #look() {
    const { program, postgres, broker } = this.#deployment.pids
    return {
      ...(program !== undefined && { program: cpuOf(program) }),
      ...(postgres.length > 0 && {
        postgres: postgres.reduce((sum, pid) => sum + cpuOfTree(pid), 0),
      }),
      ...(broker !== undefined && { broker: cpuOf(broker) }),
      load: cpuOf(this.#loadPid),
    }
  }

  /** Notes the load generator's seconds: they are gone once it has ended. */
  noteLoad() {
    this.#last = cpuOf(this.#loadPid)
  }

  /** To be called before the program is killed: its seconds are gone afterwards. */
  noteEnd() {
    this.#gone += cpuOf(this.#deployment.pids.program)
  }

  read() {
    const now = this.#look()
    if (this.#last !== undefined) now.load = this.#last
    if (now.program !== undefined) now.program += this.#gone
    return Object.fromEntries(
      Object.entries(now).map(([name, seconds]) => [name, seconds - (this.#before[name] ?? 0)]),
    )
  }
}
