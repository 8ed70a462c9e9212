// The directory an operator gives for the program's own data.
// In:  a path.
// Out: a directory this process may write to, made where it does not exist.
// Absent: what is kept in it.

import { accessSync, constants, existsSync, mkdirSync, statSync } from 'node:fs'
import { dirname } from 'node:path'
import { messageOf } from './errors.ts'
import { invalid } from './flags.ts'

/** @throws LedgerError CONFIG_INVALID that names --data-dir */
export function prepareDataDir(path: string): void {
  try {
    makeWithParents(path)
    accessSync(path, constants.R_OK | constants.W_OK | constants.X_OK)
  } catch (error) {
    invalid('data-dir', 'a directory this user may write to', `${path} (${messageOf(error)})`)
  }
}

/** One at a time: Node's recursive mkdir does not come back where a file system refuses a name. */
function makeWithParents(path: string): void {
  if (existsSync(path)) {
    if (statSync(path).isDirectory()) return
    throw new Error('it is no directory')
  }
  makeWithParents(dirname(path))
  mkdirSync(path, { mode: 0o755 })
}
