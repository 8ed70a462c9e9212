import assert from 'node:assert/strict'
import test, { type TestContext } from 'node:test'
import { setImmediate, setTimeout as delay } from 'node:timers/promises'
import pino from 'pino'
import { LedgerError } from '../errors.ts'
import { ringBytes } from '../limits.ts'
import type { Log, LogReader, LogRecord, Offset, ReaderOptions } from '../log/log.ts'
import { Slot } from './slot.ts'

/** A reader that does what a test says; the log around it has nothing else. */
abstract class ScriptedReader implements LogReader {
  protected readonly positions = new Map<number, Offset>()
  protected readonly options: ReaderOptions

  constructor(options: ReaderOptions) {
    this.options = options
  }

  assign(positions: ReadonlyMap<number, Offset>): Promise<void> {
    this.positions.clear()
    for (const [partition, offset] of positions) this.positions.set(partition, offset)
    return Promise.resolve()
  }

  abstract read(): Promise<LogRecord[]>

  close(): Promise<void> {
    return Promise.resolve()
  }
}

function logOf(open: (options: ReaderOptions) => LogReader): Log {
  const log: Pick<Log, 'identity' | 'openReader'> = {
    identity: 'scripted',
    openReader: (options) => Promise.resolve(open(options)),
  }
  return log as Log
}

/** A slot whose thread never reaches a database, and the offsets handed to that thread. */
async function scene(context: TestContext, log: Log) {
  const handed: Offset[] = []
  const options = {
    worker: 0,
    databaseUrl: 'postgresql://nobody:nothing@127.0.0.1:9/none',
    buckets: 4,
    owner: 'test',
    logIdentity: log.identity,
    logger: pino({ level: 'silent' }),
    logLevel: 'silent',
    logFormat: 'json' as const,
    crashAt: undefined,
    openLeafRate: Infinity,
  }
  const slot = new Slot(options, log, {
    message: () => undefined,
    fault: () => undefined,
    received: (_, offset) => handed.push(offset),
    died: () => slot.restartThread(),
  })
  await slot.start()
  context.after(() => slot.stop(AbortSignal.abort()))
  return { slot, handed }
}

async function until(holds: () => boolean): Promise<void> {
  const deadline = Date.now() + 5000
  while (!holds() && Date.now() < deadline) await delay(5)
}

test('a read that fails half way skips nothing', async (context) => {
  class FailingReader extends ScriptedReader {
    private reads = 0

    async read(): Promise<LogRecord[]> {
      await setImmediate()
      const offset = this.positions.get(1)
      if (offset === undefined || offset === 5) return []
      this.positions.set(1, offset + 1)
      if (++this.reads === 3) throw new Error('the disk did not answer')
      return [{ partition: 1, offset, timestamp: 0, bytes: new Uint8Array(1) }]
    }
  }
  const log = logOf((options) => new FailingReader(options))
  const { slot, handed } = await scene(context, log)
  slot.readFrom([{ partition: 1, offset: 0, generation: 1 }])
  await until(() => handed.includes(4))
  assert.deepEqual(handed, [0, 1, 2, 3, 4])
})

test('a thread that takes the place of a dead one gets nothing read for that one', async (context) => {
  let fault: () => void = () => undefined
  class ThreeRecords extends ScriptedReader {
    async read(): Promise<LogRecord[]> {
      await delay(5)
      fault = () => this.options.onFault(1, new LedgerError('OFFSET_GONE', 'gone'))
      if (!this.positions.delete(1)) return []
      const bytes = new Uint8Array(ringBytes / 2)
      return [0, 1, 2].map((offset) => ({ partition: 1, offset, timestamp: 0, bytes }))
    }
  }
  const log = logOf((options) => new ThreeRecords(options))
  const { slot, handed } = await scene(context, log)
  slot.readFrom([{ partition: 1, offset: 0, generation: 1 }])
  await until(() => handed.includes(1))
  fault()
  const broken = { kind: 'assign' }
  slot.send(broken as never)
  await delay(500)
  assert.deepEqual(handed, [0, 1])
})
test('stopping ends also while the ring is full and the thread cannot empty it', async (context) => {
  let answer: () => void = () => undefined
  class LateReader extends ScriptedReader {
    private reads = 0

    read(): Promise<LogRecord[]> {
      const record = (offset: Offset) => {
        return { partition: 1, offset, timestamp: 0, bytes: new Uint8Array(ringBytes / 2) }
      }
      if (this.positions.size === 0) return delay(5, [])
      if (++this.reads === 1) return Promise.resolve([record(0), record(1)])
      return new Promise((resolve) => (answer = () => resolve([record(2)])))
    }

    override close(): Promise<void> {
      answer()
      return Promise.resolve()
    }
  }
  const log = logOf((options) => new LateReader(options))
  const { slot, handed } = await scene(context, log)
  slot.readFrom([{ partition: 1, offset: 0, generation: 1 }])
  await until(() => handed.includes(1))
  await delay(10)
  const ended = slot.stop(AbortSignal.abort()).then(() => true)
  answer()
  assert.equal(await Promise.race([ended, delay(3000, false)]), true)
})
