// What processes cost: CPU seconds and resident memory, read from /proc.
// In:  a pid.
// Out: CPU seconds of it, its children, and theirs; bytes.
// Absent: other operating systems.

import { readdirSync, readFileSync } from 'node:fs'

const ticksPerSecond = 100

function statOf(pid) {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'latin1')
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
    const own = Number(fields[11]) + Number(fields[12])
    const waitedFor = Number(fields[13]) + Number(fields[14])
    return { pid, parent: Number(fields[1]), own, waitedFor }
  } catch {
    return undefined
  }
}

function allProcesses() {
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name))
  return pids.map((pid) => statOf(Number(pid))).filter((stat) => stat !== undefined)
}

/** CPU seconds used so far by a process alone. */
export function cpuOf(pid) {
  return (statOf(pid)?.own ?? 0) / ticksPerSecond
}

/** CPU seconds used so far by a process and everything it has started, what has ended included. */
export function cpuOfTree(pid) {
  const all = allProcesses()
  let ticks = 0
  const visit = (stat) => {
    ticks += stat.own + stat.waitedFor
    for (const child of all) if (child.parent === stat.pid) visit(child)
  }
  const root = all.find((stat) => stat.pid === pid)
  if (root) visit(root)
  return ticks / ticksPerSecond
}

/** Resident bytes of a process. */
export function residentBytes(pid) {
  const text = readFileSync(`/proc/${pid}/status`, 'latin1')
  return Number(/^VmRSS:\s+(\d+)/m.exec(text)?.[1] ?? 0) * 1024
}
