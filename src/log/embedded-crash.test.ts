// The embedded log and the ends that nobody plans: kill -9, a second process, a full disk.

import assert from 'node:assert/strict'
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { LedgerError } from '../errors.ts'
import { assertSameBytes, bytesOf, readExactly } from './conformance-tools.ts'
import { openEmbeddedLog } from './embedded.ts'
import type { Offset } from './log.ts'

const child = fileURLToPath(new URL('embedded-crash-child.js', import.meta.url))
const partitions = [0, 1, 2, 3, 4]
const diskBytesMax = 1 << 30

async function withDirectory(body: (directory: string) => Promise<void>): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'embedded-crash-'))
  try {
    await body(directory)
  } finally {
    await rm(directory, { recursive: true })
  }
}

/** Offsets that the child was promised or shown, highest of each partition. */
type Promised = Map<number, Offset>

/** Runs the child until it has said so many lines, then kills it; or until it dies by itself. */
async function runAndKill(directory: string, lines: number, crashAt: string[]): Promise<Promised> {
  const running = spawn(process.execPath, [child, directory, 'append', ...crashAt], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const exited = once(running, 'exit')
  const promised: Promised = new Map()
  let count = 0
  for await (const line of createInterface({ input: running.stdout })) {
    count += 1
    if (count === lines) running.kill('SIGKILL')
    const [verb, partition, offset] = line.split(' ')
    if (verb === 'open') continue
    const before = promised.get(Number(partition)) ?? -1
    promised.set(Number(partition), Math.max(before, Number(offset)))
  }
  const [, signal] = (await exited) as [number | null, string | null]
  assert.equal(signal, 'SIGKILL')
  return promised
}

/** Reads the whole log; each record must be the one that belongs there. */
async function checkAll(directory: string, promised: Promised): Promise<void> {
  const log = await openEmbeddedLog({ directory, diskBytesMax })
  const ranges = await log.ranges(partitions)
  for (const [partition, offset] of promised) {
    const { next } = ranges.get(partition) ?? assert.fail()
    assert(next > offset, `Partition ${partition} lost offset ${offset}, it ends before ${next}.`)
  }
  const reader = await log.openReader({ onFault: (_, error) => assert.fail(error.message) })
  await reader.assign(new Map([...ranges].map(([partition, { first }]) => [partition, first])))
  const held = [...ranges.values()].reduce((sum, { first, next }) => sum + next - first, 0)
  for (const { partition, offset, bytes } of await readExactly(reader, held)) {
    const seed = offset * partitions.length + partition
    const what = `record ${offset} of partition ${partition}`
    assertSameBytes(bytes, bytesOf(seed, (seed * 997) % 20_000), what)
  }
  await reader.close()
  await log.close()
}

test('every record acknowledged or read before a kill -9 is there afterwards', () =>
  withDirectory(async (directory) => {
    const highest: Promised = new Map()
    for (const lines of [2, 40, 1100, 333, 1800, 7, 620]) {
      const extra = Math.floor(Math.random() * 50)
      const promised = await runAndKill(directory, lines + extra, [])
      for (const [partition, offset] of promised) highest.set(partition, offset)
      await checkAll(directory, highest)
    }
    assert(Math.min(...highest.values()) > 200, 'the children did get on')
  }))

test('a kill -9 just before records are trimmed loses none of the others', () =>
  withDirectory(async (directory) => {
    const highest: Promised = new Map()
    for (const crashAt of ['before-trim', 'before-trim:4']) {
      const promised = await runAndKill(directory, Infinity, [crashAt])
      for (const [partition, offset] of promised) highest.set(partition, offset)
      await checkAll(directory, highest)
    }
  }))

test('a second process is refused by name, and let in as soon as the first is killed', () =>
  withDirectory(async (directory) => {
    const holder = spawn(process.execPath, [child, directory, 'append'], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    try {
      await once(holder.stdout, 'data')
      await assert.rejects(openEmbeddedLog({ directory, diskBytesMax }), (error: unknown) => {
        assert(error instanceof LedgerError)
        assert.equal(error.code, 'DATA_DIR_LOCKED')
        assert(error.message.includes(directory))
        assert(error.message.includes(`process ${holder.pid}`))
        return true
      })
    } finally {
      await killed(holder)
    }
    const log = await openEmbeddedLog({ directory, diskBytesMax })
    await log.close()
  }))

async function killed(running: ChildProcess): Promise<void> {
  const exited = once(running, 'exit')
  running.kill('SIGKILL')
  await exited
}

test('a full disk refuses appends, loses nothing, and is left behind after a release', () =>
  withDirectory(async (directory) => {
    // A limit on the size of files is as good as a small disk, and needs no privileges: 8 MiB, in
    // units of 1 KiB.
    const limited = `trap '' XFSZ; ulimit -f 8192; exec "$0" "$@"`
    const running = spawn('bash', ['-c', limited, process.execPath, child, directory, 'fill'], {
      stdio: ['ignore', 'pipe', 'ignore'], // lmdb complains on standard error.
    })
    const exited = once(running, 'exit')
    const said: string[] = []
    for await (const line of createInterface({ input: running.stdout })) said.push(line)
    assert.deepEqual(await exited, [0, null])
    assert.match(said[1] ?? '', /^refused LOG_(FULL|UNAVAILABLE) taking none$/)
    assert.deepEqual(said.slice(2), [
      'unavailable yes',
      'recovered without a gap',
      'unavailable no',
    ])
  }))
