// The executable as its users get it: one file in an empty directory, an empty environment.
// In:  scripts/binary.mjs, which builds it unless it is there and made of the same sources.
// Out: how to launch it; what it prints.
// Absent: anything else of this clone beside it.

import { execFile, spawnSync } from 'node:child_process'
import { chmodSync, copyFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { temporaryDirectory } from './guard.ts'
import type { Launch } from './program.ts'

const root = join(import.meta.dirname, '..', '..')

export interface Executable {
  /** Where it lies, alone. */
  readonly directory: string
  readonly file: string
  readonly launch: Launch
  /** Runs it to its end. */
  print(...args: string[]): { code: number | null; output: string }
  remove(): void
}

export async function openExecutable(): Promise<Executable> {
  await promisify(execFile)(process.execPath, [join(root, 'scripts/binary.mjs')])
  const directory = temporaryDirectory('executable')
  const file = join(directory.path, 'transaction-ledger')
  copyFileSync(join(root, 'dist/transaction-ledger'), file)
  // Whoever it is run as must be able to run it, and has nothing to write here.
  chmodSync(file, 0o555)
  chmodSync(directory.path, 0o555)
  const where = { cwd: directory.path, env: {} }
  return {
    directory: directory.path,
    file,
    launch: { command: [file], ...where },
    print: (...args) => {
      const { status, stdout, stderr } = spawnSync(file, args, { ...where, encoding: 'utf8' })
      return { code: status, output: stdout + stderr }
    },
    remove: () => {
      chmodSync(directory.path, 0o755)
      directory.remove()
    },
  }
}
