import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import pg from 'pg'
import { Ledger, uuidv7 } from '../../dist/client/index.js'
import { temporaryDirectory } from '../../dist/testing/guard.js'
import { endPostmasters } from '../../dist/testing/postmasters.js'
import { Program } from '../../dist/testing/program.js'
import { installRuntimes } from '../../scripts/client-runtimes.mjs'
import { faultyProxy } from './support.mjs'

const conformance = join(import.meta.dirname, 'conformance.mjs')

describe('the client and a real ledger', () => {
  const directory = temporaryDirectory('client')
  let program
  let database
  let runtimes
  before(async () => {
    runtimes = { node: [process.execPath], ...(await installRuntimes()) }
    program = await new Program(['--listen', '127.0.0.1:0', '--data-dir', directory.path]).ready()
    database = new pg.Client(program.databaseUrl)
    await database.connect()
  })
  after(async () => {
    await database.end()
    await program.stop()
    await endPostmasters(directory.path)
    directory.remove()
  })

  for (const name of ['node', 'bun', 'deno']) {
    test(`get along on ${name}`, { timeout: 60_000 }, () => {
      const [command, ...flags] = runtimes[name]
      const args = [...flags, conformance, program.url]
      const { status, stdout, stderr } = spawnSync(command, args, { encoding: 'utf8' })
      assert.equal(status, 0, stderr)
      assert.match(stdout, /conforms/)
    })
  }

  test('keep every transaction once while connections are cut before and after', async (t) => {
    // A sequence of its own, so that each run cuts at the same places.
    let seed = 7
    const chance = () => (seed = (seed * 48271) % 2147483647) / 2147483647
    const share = { request: 0.1, reply: 0.3 }
    const { port } = new URL(program.url)
    const proxy = await faultyProxy(t, Number(port), (kind) =>
      chance() < share[kind] ? 'cut' : '',
    )
    const ledger = new Ledger({ url: proxy.url, retry: { firstMs: 1, mostMs: 20 } })
    const writer = ledger.writer({ maxItems: 100, maxWaitMs: 2 })
    const account_id = uuidv7()
    const amounts = new Map()
    for (let i = 0; i < 10_000; i++) {
      const amount = BigInt(i) * 1_000_000_007n
      const { id } = await writer.add({ account_id, amount })
      amounts.set(id, amount)
    }
    await writer.close()
    assert(proxy.cuts.request > 0 && proxy.cuts.reply > 10, JSON.stringify(proxy.cuts))
    const rows = await entriesOf(account_id, amounts.size)
    assert.deepEqual(new Map(rows.map(({ id, amount }) => [id, BigInt(amount)])), amounts)
    assert.equal(rows.length, amounts.size)
    const { rows: conflicts } = await database.query(
      'SELECT count(*)::int AS n FROM ledger.conflicts',
    )
    assert.equal(conflicts[0].n, 0)
  })

  async function entriesOf(account, count) {
    const query = 'SELECT id, amount FROM ledger.transactions WHERE account_id = $1 ORDER BY id'
    for (const deadline = Date.now() + 20_000; ;) {
      const { rows } = await database.query(query, [account])
      if (rows.length >= count || Date.now() > deadline) return rows
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
  }
})
