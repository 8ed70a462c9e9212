// The machine a report belongs to.
// In:  nothing.
// Out: cores, memory, kernel, versions.
// Absent: names of hosts or users.

import { execFile } from 'node:child_process'
import { cpus, release, totalmem, type } from 'node:os'
import { promisify } from 'node:util'

const run = promisify(execFile)

export interface Machine {
  cores: number
  cpu: string
  memoryGiB: number
  kernel: string
  node: string
  /** Undefined outside a clone. */
  commit: string | undefined
}

export async function describeMachine(): Promise<Machine> {
  const described = await run('git', ['describe', '--always', '--dirty', '--abbrev=12']).catch(
    () => undefined,
  )
  return {
    cores: cpus().length,
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    kernel: `${type()} ${release()}`,
    node: process.versions.node,
    commit: described?.stdout.trim(),
  }
}

export function machineText({ cores, cpu, memoryGiB, kernel, node, commit }: Machine): string {
  const parts = [`${cores} × ${cpu}`, `${memoryGiB} GiB`, kernel, `Node ${node}`]
  return [...parts, ...(commit === undefined ? [] : [`commit ${commit}`])].join(', ')
}
