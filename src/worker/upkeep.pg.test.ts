import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test, { after, before, type TestContext } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import pino from 'pino'
import { openEmbeddedLog } from '../log/embedded.ts'
import type { Log } from '../log/log.ts'
import { encodeBatch } from '../record/encode.ts'
import { createTestLedger, withConnection } from '../testing/ledger.ts'
import { startTestPostgres, type TestPostgres } from '../testing/postgres.ts'
import { runUpkeep } from './upkeep.ts'

let server: TestPostgres
before(async () => {
  server = await startTestPostgres()
})
after(() => server.stop())

/** A log with three records in partitions 3 and 4, and a ledger that has two of each. */
async function scene(context: TestContext, identityOf: (log: Log) => string) {
  const directory = await mkdtemp(join(tmpdir(), 'ledger-upkeep-'))
  const log = await openEmbeddedLog({ directory, diskBytesMax: 2 ** 26 })
  const url = await createTestLedger(server)
  for (const partition of [3, 3, 3, 4, 4, 4]) await log.append(partition, encodeBatch([]))
  await withConnection(url, (connection) => {
    return connection.execute(
      `INSERT INTO ledger.checkpoints (partition, next_offset, epoch, owner, log_identity)
       VALUES (3, 2, 1, 'test', $1), (4, 2, 1, 'test', $1)`,
      [identityOf(log)],
    )
  })
  const stopped = new AbortController()
  const logger = pino({ level: 'silent' })
  const lagSeconds = () => 0
  const options = { log, databaseUrls: [url], partitions: () => [3], lagSeconds, logger }
  const running = runUpkeep(options, stopped.signal)
  context.after(async () => {
    stopped.abort()
    await running
    await log.close()
    await rm(directory, { recursive: true })
  })
  return log
}

async function firstOffsets(log: Log): Promise<(number | undefined)[]> {
  const ranges = await log.ranges([3, 4])
  return [ranges.get(3)?.first, ranges.get(4)?.first]
}

test('records that PostgreSQL has on disk are released, of our partitions only', async (context) => {
  const log = await scene(context, ({ identity }) => identity)
  const deadline = Date.now() + 10_000
  while ((await firstOffsets(log))[0] === 0 && Date.now() < deadline) await delay(10)
  assert.deepEqual(await firstOffsets(log), [2, 0])
})

test('checkpoints of another log release nothing of this one', async (context) => {
  const log = await scene(context, () => 'another log')
  await delay(1500)
  assert.deepEqual(await firstOffsets(log), [0, 0])
})
