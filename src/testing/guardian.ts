// Ends what a test started when the test itself ends, however it ends: it outlives even a SIGKILL
// of the test.
// In:  one command a line on standard input.
// Out: when that is closed: process groups and PostgreSQL servers killed, directories removed.
// Absent: any wish to be polite. A test that ends well has stopped everything before.

import { rmSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { kill, killPostmasters } from './postmasters.ts'

/**
 * - `group`: a process group, by its leader's id.
 * - `directory`: a temporary directory, and any PostgreSQL whose data lies within it.
 */
export type GuardianCommand =
  | { watch: 'group'; pid: number }
  | { forget: 'group'; pid: number }
  | { watch: 'directory'; path: string }
  | { forget: 'directory'; path: string }

function main(): void {
  const groups = new Set<number>()
  const directories = new Set<string>()
  const input = createInterface({ input: process.stdin })
  input.on('line', (line) => {
    const command = JSON.parse(line) as GuardianCommand
    if ('watch' in command) {
      if (command.watch === 'group') groups.add(command.pid)
      else directories.add(command.path)
    } else if (command.forget === 'group') groups.delete(command.pid)
    else directories.delete(command.path)
  })
  input.on('close', () => {
    for (const pid of groups) kill(-pid, 'SIGKILL')
    for (const path of directories) killPostmasters(path)
    for (const path of directories) {
      rmSync(path, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 })
    }
  })
}

main()
