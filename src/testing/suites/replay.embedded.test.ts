import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { openEmbeddedLog } from '../../log/embedded.ts'
import { encodeBatch } from '../../record/encode.ts'
import { runCommand } from '../commands.ts'
import { temporaryDirectory } from '../guard.ts'
import { column, createTestLedger } from '../ledger.ts'
import { startTestPostgres } from '../postgres.ts'
import { describeReplay } from './replay.ts'

describeReplay('embedded')

test('a log that does not reach back, or is another, is refused with what is missing', async () => {
  const server = await startTestPostgres()
  const directory = temporaryDirectory('trimmed')
  try {
    const url = await createTestLedger(server)
    const own = { directory: join(directory.path, 'log'), diskBytesMax: 2 ** 26 }
    const log = await openEmbeddedLog(own)
    for (const partition of [3, 3, 3, 7, 7]) await log.append(partition, encodeBatch([]))
    await log.release(new Map([[3, 2]]))
    await log.close()
    const flags = ['--database-url', url, '--data-dir', directory.path]
    const replayWith = async (checkpoints: string) => {
      await column(url, 'DELETE FROM ledger.checkpoints')
      await column(
        url,
        `INSERT INTO ledger.checkpoints (partition, next_offset, epoch, owner, log_identity)
         VALUES ${checkpoints}`,
      )
      return runCommand(['replay', ...flags])
    }
    const identity = log.identity
    const gone = await replayWith(`(3, 3, 1, 't', '${identity}'), (7, 2, 1, 't', '${identity}')`)
    assert.equal(gone.code, 1)
    assert.match(gone.err, /Gone are partition 3: offsets 0 to 1\. .*--keep-log/)
    const lost = await replayWith(`(7, 5, 1, 't', '${identity}')`)
    assert.match(
      lost.err,
      /Partition 7: the tables have all before offset 5, the log ends before 2/,
    )
    const other = await replayWith(`(7, 2, 1, 't', 'another')`)
    assert.match(other.err, /written from log "another"/)
    const nothing = await runCommand(['replay', '--data-dir', join(directory.path, 'nothing')])
    assert.equal(nothing.code, 2)
    assert.match(nothing.err, /^--data-dir \(DATA_DIR\): expected a directory with an embedded log/)
    const schemas = await column(
      url,
      `SELECT count(*)::int FROM pg_namespace WHERE nspname = 'ledger_replay'`,
    )
    assert.deepEqual(schemas, [0])
  } finally {
    await server.stop()
    directory.remove()
  }
})
