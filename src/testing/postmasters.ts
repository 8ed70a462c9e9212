// PostgreSQL servers found by the directory their data lies in.
// In:  a directory.
// Out: process ids, from the file PostgreSQL keeps beside its data.
// Absent: starting or talking to them.

import { readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'

/** How deep below a directory PostgreSQL's data may lie. */
const depthMax = 3

/** Ids of the PostgreSQL servers whose data lies below a directory, running or not. */
export function postmasterPids(directory: string): number[] {
  return postmasterFiles(directory, depthMax).map((path) => {
    const [firstLine] = readFileSync(path, 'utf8').split('\n')
    return Number(firstLine)
  })
}

/** Kills PostgreSQL servers whose data lies below a directory, and their children with them. */
export function killPostmasters(directory: string): void {
  for (const pid of postmasterPids(directory)) {
    if (!isPostmaster(pid)) continue
    // An immediate shutdown: the server takes its children along, which after SIGKILL it could not.
    kill(pid, 'SIGQUIT')
  }
}

/** Kills them, and resolves when they are gone. */
export async function endPostmasters(directory: string): Promise<void> {
  const pids = postmasterPids(directory).filter(isPostmaster)
  killPostmasters(directory)
  while (pids.some(isPostmaster)) await delay(20)
}

export function kill(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal)
  } catch {
    // It has ended by itself.
  }
}

function postmasterFiles(directory: string, depth: number): string[] {
  const found: string[] = []
  try {
    for (const entry of readdirSync(directory, { withFileTypes: true })) {
      const path = join(directory, entry.name)
      if (entry.name === 'postmaster.pid') found.push(path)
      else if (entry.isDirectory() && depth > 0) found.push(...postmasterFiles(path, depth - 1))
    }
  } catch {
    // It vanished while being read.
  }
  return found
}

/** A process id in a stale file may belong to somebody else by now. Knows only what Linux tells. */
function isPostmaster(pid: number): boolean {
  try {
    return readFileSync(`/proc/${pid}/comm`, 'utf8').startsWith('postgres')
  } catch {
    return false
  }
}
