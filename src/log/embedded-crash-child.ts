// Uses an embedded log until it is killed, or until its disk is full, and says what it was
// promised.
// In:  argv: the directory, `append` or `fill`, and perhaps a crash point.
// Out: lines `appended PARTITION OFFSET`, `read PARTITION OFFSET`, and those of `fill`.
// Absent: any end of its own making in `append`.

import { writeSync } from 'node:fs'
import { LedgerError } from '../errors.ts'
import { armCrash } from '../testing/crash.ts'
import { bytesOf } from './conformance-tools.ts'
import { openEmbeddedLog } from './embedded.ts'
import type { Log, Offset } from './log.ts'

const [directory = '', mode] = process.argv.slice(2)
const crashAt = process.argv.at(4)
const partitions = 5

/** What stands at this offset of this partition: the parent knows it too. */
function contentOf(partition: number, offset: Offset): Uint8Array {
  const seed = offset * partitions + partition
  return bytesOf(seed, (seed * 997) % 20_000)
}

function say(...words: (string | number)[]): void {
  writeSync(1, `${words.join(' ')}\n`)
}

/**
 * Keeps several appends of each partition under way for ever, and releases what is a hundred
 * records old.
 */
async function appendForEver(log: Log, partition: number, next: Offset): Promise<never> {
  for (let offset = next; ; offset += 1) {
    const appended = log.append(partition, contentOf(partition, offset))
    void appended.then((found) => say('appended', partition, found))
    if (offset % 4 === 0) await appended
    if (offset % 50 === 0) await log.release(new Map([[partition, offset - 100]]))
  }
}

async function readForEver(log: Log, positions: ReadonlyMap<number, Offset>): Promise<never> {
  const reader = await log.openReader({
    onFault: (_, error) => {
      throw error
    },
  })
  await reader.assign(positions)
  for (;;) {
    for (const { partition, offset } of await reader.read(50_000)) say('read', partition, offset)
  }
}

/** Appends until the disk is full, makes room, and appends again. */
async function fill(log: Log): Promise<void> {
  let taken = 0
  for (;;) {
    const appends = Array.from({ length: 8 }, () => log.append(0, new Uint8Array(50_000)))
    const settled = await Promise.allSettled(appends)
    const refused = settled.find((result) => result.status === 'rejected')
    if (refused !== undefined) {
      const code = refused.reason instanceof LedgerError ? refused.reason.code : 'a bug'
      say('refused', code, (await log.ranges([0])).get(0)?.next === taken ? 'taking none' : 'odd')
      break
    }
    taken += settled.length
  }
  say('unavailable', log.unavailable() === undefined ? 'no' : 'yes')
  // Asked for in one breath: room has to be made before it can be used.
  const released = log.release(new Map([[0, taken - 5]]))
  await Promise.all(Array.from({ length: 20 }, () => log.append(0, new Uint8Array(50_000))))
  await released
  const range = (await log.ranges([0])).get(0)
  say('recovered', range?.next === taken + 20 ? 'without a gap' : 'odd')
  say('unavailable', log.unavailable() === undefined ? 'no' : 'yes')
  await log.close()
}

if (crashAt !== undefined) armCrash(crashAt)
const log = await openEmbeddedLog({ directory, diskBytesMax: 1 << 30 })
say('open')
if (mode === 'fill') {
  await fill(log)
} else {
  const ranges = await log.ranges(Array.from({ length: partitions }, (_, at) => at))
  const positions = new Map([...ranges].map(([partition, { next }]) => [partition, next]))
  const appending = [...positions].map(([partition, next]) => appendForEver(log, partition, next))
  await Promise.all([...appending, readForEver(log, positions)])
}
