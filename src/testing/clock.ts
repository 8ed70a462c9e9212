// A clock that can be moved, for programs that are started with it; that of the machine stays.
// In:  Debian's package libfaketime.
// Out: how to start the program, and how to move its wall clock: native code and threads included.
// Absent: monotonic clocks, which no operator moves.

import { existsSync, readdirSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { temporaryDirectory } from './guard.ts'

const libraries = '/usr/lib'
const cacheSeconds = 1

export interface MovableClock {
  /** To be put before the command of a program. */
  readonly prefix: readonly [string, ...string[]]
  /** Milliseconds ahead of the real one, to the second; every program notices within a second. */
  set(aheadMs: number): void
  /** Resolves once every program has noticed. */
  noticed(): Promise<void>
  close(): void
}

/** Why there is none here, or the clock. */
export function openClock(): MovableClock | string {
  const library = findLibrary()
  if (library === undefined) return 'it needs libfaketime: apt-get install libfaketime'
  const directory = temporaryDirectory('clock')
  const file = join(directory.path, 'ahead')
  const set = (aheadMs: number): void => {
    const seconds = Math.round(aheadMs / 1000)
    // Whoever reads it finds it whole.
    writeFileSync(`${file}.new`, `${seconds < 0 ? '' : '+'}${seconds}\n`)
    renameSync(`${file}.new`, file)
  }
  set(0)
  return {
    prefix: [
      'env',
      `LD_PRELOAD=${library}`,
      `FAKETIME_TIMESTAMP_FILE=${file}`,
      `FAKETIME_CACHE_DURATION=${cacheSeconds}`,
      // Timers go by the monotonic clock, and so do timeouts of the Kafka client.
      'FAKETIME_DONT_FAKE_MONOTONIC=1',
      'DONT_FAKE_MONOTONIC=1',
    ],
    set,
    noticed: () => delay(cacheSeconds * 1000 + 100),
    close: () => directory.remove(),
  }
}

/** Each architecture has a folder of its own. */
function findLibrary(): string | undefined {
  return readdirSync(libraries)
    .map((name) => join(libraries, name, 'faketime', 'libfaketimeMT.so.1'))
    .find(existsSync)
}
