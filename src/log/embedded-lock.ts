// Keeps a directory to one process at a time.
// In:  a directory that exists.
// Out: a lock that the operating system takes back when the process ends, however it ends.
// Absent: what the directory is for.

import { readFile, stat, writeFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:net'
import { join } from 'node:path'
import { LedgerError } from '../errors.ts'

export interface DirectoryLock {
  release(): Promise<void>
}

/** Only told to people, never relied on: the process whose number stands here may be long gone. */
const holderFile = 'holder.pid'

/**
 * Takes the lock, or rejects with DATA_DIR_LOCKED.
 *
 * Node has no flock, so the lock is an abstract Unix socket named after the directory's device and
 * inode. The kernel binds a name once, and forgets it at the very end of the process that bound it.
 * A file with a process number cannot do that: after a crash it names nobody, or an innocent
 * process that was given the same number, and clearing it away races with others that do the same.
 * A socket in the file system stays behind likewise. The name counts within one network namespace:
 * containers that share a directory must share that too, or take care themselves.
 */
export async function lockDirectory(directory: string): Promise<DirectoryLock> {
  if (process.platform !== 'linux') {
    const found = `found ${process.platform}`
    throw new LedgerError('CONFIG_INVALID', `The embedded log needs Linux for its lock, ${found}.`)
  }
  const { dev, ino } = await stat(directory, { bigint: true })
  const server = await bind(`\0transaction-ledger/${dev}/${ino}`)
  if (server === undefined) {
    const holder = await readFile(join(directory, holderFile), 'utf8').catch(() => '')
    const who = holder === '' ? 'another process' : `process ${holder.trim()}`
    throw new LedgerError('DATA_DIR_LOCKED', `The directory ${directory} is in use by ${who}.`)
  }
  await writeFile(join(directory, holderFile), `${process.pid}\n`)
  return {
    release: () => new Promise((resolve) => server.close(() => resolve())),
  }
}

/** A socket bound to the name, or `undefined` where somebody has it. */
function bind(name: string): Promise<Server | undefined> {
  const server = createServer((connection) => connection.destroy())
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EADDRINUSE') resolve(undefined)
      else reject(error)
    })
    server.listen({ path: name, exclusive: true }, () => {
      server.unref()
      resolve(server)
    })
  })
}
