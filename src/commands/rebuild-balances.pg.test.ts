import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { commitFlush } from '../ledger/commit.ts'
import { lowestIdAt } from '../ledger/leaves.ts'
import { checkRollups } from '../ledger/rollup-check.ts'
import { leavesOf } from '../ledger/rollup-leaves.ts'
import { rollUp } from '../ledger/rollups.ts'
import { runCommand, type CommandEnd } from '../testing/commands.ts'
import { claimAll, column, createTestLedger, flushOf, withConnection } from '../testing/ledger.ts'
import { startTestPostgres, type TestPostgres } from '../testing/postgres.ts'
import { idAt } from '../testing/rows.ts'

let server: TestPostgres
before(async () => {
  server = await startTestPostgres()
})
after(() => server.stop())

const run = (...argv: string[]): Promise<CommandEnd> => runCommand(['rebuild-balances', ...argv])

test('roll-ups that were tampered with are made anew, and what is due besides', async () => {
  const url = await createTestLedger(server)
  const day = 86_400_000
  const now = Date.now()
  await withConnection(url, async (connection) => {
    const checkpoints = await claimAll(connection, [...Array(128).keys()])
    const entries = Array.from({ length: 100 }, (_, index) => {
      const createdAt = now - (index % 2) * day
      return { accountId: crypto.randomUUID(), id: idAt(createdAt), amount: 7n, createdAt }
    })
    await commitFlush(connection, flushOf(entries, checkpoints))
    for (const leaf of await leavesOf(connection)) {
      if (leaf.kind === 'rest') await rollUp(connection, leaf, lowestIdAt(now + 1000))
    }
    await column(url, 'UPDATE ledger.rollups SET sum = sum * 2')
    await column(url, 'DELETE FROM ledger.rollup_ranges WHERE range % 3 = 0')
    assert.notEqual((await checkRollups(connection)).length, 0)
    const { code, out, err } = await run('--database-url', url)
    assert.deepEqual([code, err], [0, ''])
    assert.match(out, /: \d+ leaves made anew, \d+ rolled up further, in [\d.]+ s\n$/)
    assert(!out.includes(new URL(url).password), 'no password is shown')
    assert.deepEqual(await checkRollups(connection), [])
  })
})

test('what it cannot work with is said on standard error', async () => {
  const help = await run('--help')
  assert.equal(help.code, 0)
  assert.match(help.out, /--database-url URL/)
  const unknown = await run('--linger', '5')
  assert.equal(unknown.code, 2)
  assert.match(unknown.err, /^Unknown argument "--linger": expected one of --database-url/)
  const empty = await run('--data-dir', server.directory)
  assert.equal(empty.code, 2)
  assert.match(empty.err, /^--data-dir \(DATA_DIR\): expected the directory of a ledger/)
  const away = await run('--database-url', 'postgresql://a:b@127.0.0.1:1/c')
  assert.equal(away.code, 1)
  assert.match(away.err, /127\.0\.0\.1:1\/c/)
})
