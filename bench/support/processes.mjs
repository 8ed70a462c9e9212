// What processes cost: CPU seconds and memory, read from /proc.
// In:  a pid.
// Out: CPU seconds of it, its children, and theirs; bytes.
// Absent: other operating systems.

import { readdirSync, readFileSync } from 'node:fs'

const ticksPerSecond = 100

function statOf(pid, path = `/proc/${pid}/stat`) {
  try {
    const text = readFileSync(path, 'latin1')
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

/** A process and everything it has started that still runs. */
function treeOf(pid) {
  const all = allProcesses()
  const tree = []
  const visit = (stat) => {
    tree.push(stat)
    for (const child of all) if (child.parent === stat.pid) visit(child)
  }
  const root = all.find((stat) => stat.pid === pid)
  if (root) visit(root)
  return tree
}

/** CPU seconds used so far by a process alone. */
export function cpuOf(pid) {
  return (statOf(pid)?.own ?? 0) / ticksPerSecond
}

/** CPU seconds used so far by a process's main thread. */
export function cpuOfMainThread(pid) {
  return (statOf(pid, `/proc/${pid}/task/${pid}/stat`)?.own ?? 0) / ticksPerSecond
}

/** CPU seconds used so far by a process and everything it has started, what has ended included. */
export function cpuOfTree(pid) {
  const ticks = treeOf(pid).reduce((sum, { own, waitedFor }) => sum + own + waitedFor, 0)
  return ticks / ticksPerSecond
}

function fieldOf(path, name) {
  try {
    const text = readFileSync(path, 'latin1')
    return Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(text)?.[1] ?? 0) * 1024
  } catch {
    return 0
  }
}

/** Resident bytes of a process. */
export function residentBytes(pid) {
  return fieldOf(`/proc/${pid}/status`, 'VmRSS')
}

/** The most resident bytes that a process ever had, as the kernel noted. */
export function peakResidentBytes(pid) {
  return fieldOf(`/proc/${pid}/status`, 'VmHWM')
}

/** Resident bytes of a process and all it has started, with what they share counted once. */
export function proportionalBytesOfTree(pid) {
  return treeOf(pid).reduce(
    (sum, each) => sum + fieldOf(`/proc/${each.pid}/smaps_rollup`, 'Pss'),
    0,
  )
}
