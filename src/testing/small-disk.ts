// A disk that is small enough to be filled.
// In:  root, on a Linux that lets it mount.
// Out: a directory on a file system of its own, to be filled and freed.
// Absent: whoever writes there.

import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { constants } from 'node:fs'
import { chmod, mkdtemp, open, rm, rmdir, statfs } from 'node:fs/promises'
import type { Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)
const pieceBytes = 1 << 20

export interface SmallDisk {
  /** Where it is mounted. */
  readonly path: string
  /** Takes all that is free; resolves with how many bytes that were. */
  fill(): Promise<number>
  /** Gives back what `fill` took. */
  free(): Promise<void>
  /** Removes it, even if somebody is using it still. */
  close(): Promise<void>
}

/** Why there is none here, or the disk. It vanishes with this process, however that ends. */
export async function openSmallDisk(megabytes: number): Promise<SmallDisk | string> {
  if (process.getuid?.() !== 0) return 'it needs root, to mount a small disk'
  const path = await mkdtemp(join(tmpdir(), 'ledger-disk-'))
  try {
    await run('mount', ['-t', 'tmpfs', '-o', `size=${megabytes}m`, 'ledger-test', path])
  } catch (error) {
    await rmdir(path)
    return `it needs to mount a small disk: ${(error as Error).message.trim()}`
  }
  await chmod(path, 0o777)
  const unmounted = unmountAtEnd(path)
  const ballast = join(path, 'ballast')
  return {
    path,
    fill: () => fill(ballast),
    free: () => rm(ballast, { force: true }),
    close: unmounted,
  }
}

/** A shell that unmounts when this process closes the pipe, or dies. */
function unmountAtEnd(path: string): () => Promise<void> {
  const script = 'cat >/dev/null; umount -l "$0"; rmdir "$0"'
  const shell = spawn('sh', ['-c', script, path], {
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true,
  })
  shell.unref()
  const pipe = shell.stdin as Socket | null
  pipe?.unref()
  return async () => {
    if (shell.exitCode !== null) return
    shell.ref()
    const gone = once(shell, 'close')
    pipe?.end()
    await gone
  }
}

/** Until nothing is left, whatever others write meanwhile. */
async function fill(ballast: string): Promise<number> {
  const file = await open(ballast, constants.O_WRONLY | constants.O_CREAT | constants.O_APPEND)
  let bytes = 0
  try {
    for (let size = pieceBytes; size >= 1;) {
      try {
        const { bytesWritten } = await file.write(Buffer.alloc(size, 1))
        bytes += bytesWritten
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error
        size >>= 4
      }
    }
  } finally {
    await file.close()
  }
  return bytes
}

/** Bytes that anybody could write now. */
export async function freeBytes(path: string): Promise<number> {
  const { bavail, bsize } = await statfs(path)
  return bavail * bsize
}
