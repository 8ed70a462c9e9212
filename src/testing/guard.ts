// The test's side of the guardian: what to end when the test ends.
// In:  process ids and directories.
// Out: commands to a guardian process, started when first needed.
// Absent: the killing itself (guardian.ts).

import { spawn, type ChildProcess } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import type { Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { GuardianCommand } from './guardian.ts'

let guardian: ChildProcess | undefined

function tell(command: GuardianCommand): void {
  guardian ??= startGuardian()
  guardian.stdin?.write(`${JSON.stringify(command)}\n`)
}

/** In a session of its own, so that what is sent to the test's process group does not reach it. */
function startGuardian(): ChildProcess {
  const child = spawn(process.execPath, [join(import.meta.dirname, 'guardian.js')], {
    detached: true,
    stdio: ['pipe', 'ignore', 'inherit'],
  })
  child.unref()
  // A pipe is a socket, and must not keep the test alive either.
  const pipe = child.stdin as Socket | null
  pipe?.unref()
  return child
}

/** Kills this process group when the test ends, unless it is forgotten before. */
export function watchGroup(pid: number): void {
  tell({ watch: 'group', pid })
}

export function forgetGroup(pid: number): void {
  tell({ forget: 'group', pid })
}

/** A temporary directory, removed when the test ends if it is not removed before. */
export function temporaryDirectory(name: string): { path: string; remove(): void } {
  const path = mkdtempSync(join(tmpdir(), `ledger-${name}-`))
  tell({ watch: 'directory', path })
  return {
    path,
    remove: () => {
      rmSync(path, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 })
      tell({ forget: 'directory', path })
    },
  }
}
