import assert from 'node:assert/strict'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { dayMilliseconds as day } from '../ledger/leaves.ts'
import { openLeaf } from '../ledger/open-leaves.ts'
import { checkRollups } from '../ledger/rollup-check.ts'
import { accountRoutes } from '../query/accounts.ts'
import { changesRoutes } from '../query/changes.ts'
import { entryRoutes } from '../query/entries.ts'
import { exportRoutes } from '../query/export.ts'
import { Persistence } from '../query/persistence.ts'
import { transferRoutes } from '../query/transfers.ts'
import type { HttpReply } from '../http/http.ts'
import {
  accounts,
  archiveScene,
  balances,
  dateOf,
  entriesOf,
  noon,
  partitions,
  reading,
  write,
} from '../testing/archive-scene.ts'
import { ask, askWhole, parsed } from '../testing/ask.ts'
import { runCommand } from '../testing/commands.ts'
import { temporaryDirectory } from '../testing/guard.ts'
import {
  claimAll,
  column,
  createTestLedger,
  ledgerRows,
  testLayout,
  withConnection,
} from '../testing/ledger.ts'
import { startTestPostgres, type TestPostgres } from '../testing/postgres.ts'
import { idAt, partitionOfAccount, type Entry } from '../testing/rows.ts'

let server: TestPostgres
const directory = temporaryDirectory('archive')
before(async () => {
  server = await startTestPostgres()
})
after(async () => {
  await server.stop()
  directory.remove()
})

const scene = () => archiveScene(server)

/** Lines of a reply that is streamed; no more than are asked for. */
async function linesOf(reply: HttpReply, most = Infinity): Promise<string[]> {
  let text = ''
  assert(typeof reply.body === 'object' && Symbol.asyncIterator in reply.body)
  for await (const chunk of reply.body) {
    text += Buffer.from(chunk).toString()
    if (text.split('\n').length > most) break
  }
  return text.split('\n').filter((line) => line !== '')
}

let directories = 0
function newDirectory(): string {
  return join(directory.path, `archive-${++directories}`)
}

const archive = (url: string, to: string, crashAt?: string) =>
  runCommand(['archive', '--database-url', url, '--before', dateOf(4), '--to', to], crashAt)
const restore = (url: string, ...more: string[]) =>
  runCommand(['restore', '--database-url', url, ...more])

async function daysArchived(url: string): Promise<unknown[]> {
  return column(url, 'SELECT count(*)::int FROM ledger.archived_days WHERE archived_at IS NOT NULL')
}

test('archived entries leave the tables and come back bit for bit; balances never change', async () => {
  const { url } = await scene()
  const rows = await ledgerRows(url)
  const sums = await balances(url)
  const to = newDirectory()
  const archived = await archive(url, to)
  assert.deepEqual([archived.code, archived.err], [0, ''])
  assert.match(archived.out, /1800 entries of 8 days of buckets archived/)
  assert.match(archived.out, /kept in ledger\.held_entries/)
  assert.equal((await ledgerRows(url)).length, rows.length - 1800)
  assert.deepEqual(await balances(url), sums)
  await withConnection(url, async (connection) => {
    assert.deepEqual(await checkRollups(connection), [])
  })
  assert.equal((await runCommand(['rebuild-balances', '--database-url', url])).code, 0)
  assert.deepEqual(await balances(url), sums, 'roll-ups of what is archived are kept')
  const again = await archive(url, to)
  assert.match(again.out, /: 0 entries of 0 days/)

  const restored = await restore(url, '--from', to)
  assert.deepEqual([restored.code, restored.err], [0, ''])
  assert.deepEqual(await ledgerRows(url), rows)
  assert.deepEqual(await balances(url), sums)
  const refused = await restore(url, '--from', to)
  assert.equal(refused.code, 1)
  assert.match(
    refused.err,
    /expected it archived as [0-9a-f-]{36}, or not to be there, found it with/,
  )
  // Uniqueness is PostgreSQL's again.
  assert.deepEqual(
    await column(
      url,
      `SELECT count(*)::int FROM pg_partition_tree('ledger.transactions') t
       WHERE isleaf AND NOT EXISTS (SELECT FROM pg_index WHERE indrelid = t.relid AND indisunique)`,
    ),
    [0],
  )
})

test('what comes with an id of an archived day is held, and judged when the day is back', async () => {
  const { url, old } = await scene()
  const to = newDirectory()
  assert.equal((await archive(url, to)).code, 0)
  const sums = await balances(url)
  const [same, rival, ...others] = old
  assert(same !== undefined && rival !== undefined)
  const fresh = { ...same, id: idAt(noon(5)), createdAt: noon(0) }
  const today = entriesOf(0, 5)
  const late = [same, { ...rival, amount: 12345n }, fresh, { ...fresh, amount: 1n }, fresh]
  for (const mayRepeat of [false, true]) {
    // The same records twice, as after a crash of a client.
    const outcome = await write(url, [...late, ...today], mayRepeat)
    const [inserted, duplicates] = mayRepeat ? [0, 5] : [5, 0]
    assert.deepEqual(outcome, {
      kind: 'committed',
      inserted,
      duplicates,
      conflicts: 0,
      held: 5,
      mergedBuckets: 'mergedBuckets' in outcome ? outcome.mergedBuckets : [],
      repeatingBuckets: 'repeatingBuckets' in outcome ? outcome.repeatingBuckets : [],
    })
  }
  assert.deepEqual(await column(url, 'SELECT count(*)::int FROM ledger.held_entries'), [4])
  const expected = await ledgerRows(url)
  assert.notDeepEqual(await balances(url), sums, 'those of today count')

  const restored = await restore(url, '--from', to)
  assert.equal(restored.code, 0, restored.err)
  assert.match(restored.out, /of those held for it/)
  const texts = (rows: readonly unknown[]): string[] => rows.map(String).sort()
  const rowOf = ({ accountId, id, amount, createdAt }: Entry): string =>
    `${accountId} ${id} ${amount} ${createdAt}`
  const all = [...expected, ...[same, rival, ...others, fresh].map(rowOf)]
  const five = (await ledgerRows(url)).length - all.length
  assert.equal(five, 300, 'and those of five days ago')
  const found = new Set(texts(await ledgerRows(url)))
  assert(all.every((row) => found.has(String(row))))
  assert.deepEqual(
    await column(url, 'SELECT amount || $$ $$ || recorded_amount FROM ledger.conflicts ORDER BY 1'),
    [`12345 ${rival.amount}`, `1 ${fresh.amount}`].sort(),
  )
  assert.deepEqual(await column(url, 'SELECT count(*)::int FROM ledger.held_entries'), [0])
  await withConnection(url, async (connection) => {
    assert.deepEqual(await checkRollups(connection), [])
  })
})

test('reads say what is archived, and never leave it out in silence', async () => {
  const { url, old } = await scene()
  const account = accounts[3] ?? ''
  const path = `/v1/accounts/${account}`
  const own = old.filter(({ accountId }) => accountId === account)
  const at = new Date(own[own.length >> 1]?.createdAt ?? 0).toISOString()
  await reading(url, async (databases) => {
    const persistence = new Persistence(databases)
    const routes = [
      ...accountRoutes({ databases, persistence, receipts: undefined }),
      ...exportRoutes(databases),
      ...entryRoutes(databases),
      ...transferRoutes(databases),
      ...changesRoutes(databases),
    ]
    type Page = { transactions: { id: string }[]; archived?: unknown }
    const statement = async (query: string): Promise<Page> =>
      parsed(await askWhole(routes, `${path}/transactions?limit=1000&${query}`)) as Page
    const isArchived = { name: 'LedgerError', code: 'ARCHIVED' }
    const before = await statement('running_balance=true&order=asc')
    assert.equal(before.archived, undefined)
    const changes = '/v1/changes?follow=false'
    await column(url, 'UPDATE ledger.checkpoints SET last_created_at = now()')
    const lines = await linesOf(await ask(routes, `${changes}&after=start&limit=1`))
    const { cursor = '' } = JSON.parse(lines.at(-1) ?? '') as { cursor?: string }
    assert.equal((await archive(url, newDirectory())).code, 0)

    const after = await statement('running_balance=true&order=asc')
    const ids = new Set(after.transactions.map(({ id }) => id))
    assert.deepEqual(
      after.transactions,
      before.transactions.filter(({ id }) => ids.has(id)),
      'with the same balances',
    )
    assert.equal(after.transactions.length, before.transactions.length - own.length - 25)
    const midnight = (daysAgo: number): string => new Date(noon(daysAgo) - day / 2).toISOString()
    const span = { from: midnight(6), to: midnight(4), count: String(own.length + 25) }
    assert.deepEqual(after.archived, [span])
    assert.equal((await statement(`from=${midnight(4)}`)).archived, undefined)
    assert.deepEqual(await statement(`to=${midnight(5)}`), {
      transactions: [],
      archived: [{ ...span, to: midnight(5), count: String(own.length) }],
      next_cursor: null,
      prev_cursor: null,
    })
    const [id] = own.map((entry) => entry.id)
    await assert.rejects(ask(routes, `${path}/transactions/${id}`), isArchived)
    await assert.rejects(ask(routes, `/v1/transactions/${id}`), isArchived)
    await assert.rejects(ask(routes, `${path}?at=${at}`), isArchived)
    const early = new Date(noon(7)).toISOString()
    assert.match(String((await askWhole(routes, `${path}?at=${early}`)).body), /"balance":"0"/)
    assert.equal((await ask(routes, `${path}?at=${midnight(4)}`)).status, 200)
    const whole = await ask(routes, `${path}/transactions/export`)
    await assert.rejects(linesOf(whole), isArchived)
    const rest = await ask(routes, `${path}/transactions/export?from=${midnight(4)}`)
    assert.equal((await linesOf(rest)).length, after.transactions.length)
    await assert.rejects(ask(routes, `${changes}&after=${encodeURIComponent(cursor)}`), isArchived)
    assert.equal((await ask(routes, `${changes}&after=start`)).status, 200)
    persistence.end()
  })
})

test('no leaf is opened in an archived day', async () => {
  const { url } = await scene()
  assert.equal((await archive(url, newDirectory())).code, 0)
  await withConnection(url, async (connection) => {
    const own = (await claimAll(connection, partitions)).filter(({ partition }) => {
      return partition % testLayout.buckets === 2
    })
    const span = { from: noon(5), to: noon(5) + 10_000 }
    const refused = await openLeaf(connection, 2, span, own)
    assert.equal(refused, 'the day is archived, or about to be')
  })
})

for (const [point, days] of [
  ['after-archive-file:3', 1],
  ['after-archive-manifest:2', 1],
  ['before-archive-commit:2', 1],
  ['after-archive-commit:1', 1],
] as const) {
  test(`killed ${point}, nothing is lost, and the same command goes on`, async () => {
    const { url } = await scene()
    const rows = await ledgerRows(url)
    const sums = await balances(url)
    const to = newDirectory()
    assert.equal((await archive(url, to, point)).code, 'SIGKILL')
    assert.deepEqual(await balances(url), sums)
    assert.deepEqual(await daysArchived(url), [days])
    assert.equal((await archive(url, to)).code, 0)
    assert.deepEqual(await daysArchived(url), [8])
    assert.deepEqual(await balances(url), sums)
    const restored = await restore(url, '--from', to)
    assert.equal(restored.code, 0, restored.err)
    assert.deepEqual(await ledgerRows(url), rows)
  })
}

for (const point of ['before-restore-attached:2', 'before-restore-commit:3']) {
  test(`killed ${point}, days are back or not, and the rest can follow`, async () => {
    const { url } = await scene()
    const rows = await ledgerRows(url)
    const sums = await balances(url)
    const to = newDirectory()
    assert.equal((await archive(url, to)).code, 0)
    const argv = ['restore', '--database-url', url, '--from', to]
    assert.equal((await runCommand(argv, point)).code, 'SIGKILL')
    assert.deepEqual(await balances(url), sums)
    assert.deepEqual(await daysArchived(url), [9 - Number(point.split(':')[1])])
    const rest = await restore(url, '--from', to)
    // Those that are back already are refused, and left as they are.
    assert.equal(rest.code, 1)
    assert.deepEqual(await ledgerRows(url), rows)
    assert.deepEqual(await balances(url), sums)
  })
}

test('a closed day can be opened again', async () => {
  const { url, old } = await scene()
  const rows = await ledgerRows(url)
  assert.equal((await archive(url, newDirectory(), 'after-archive-manifest:1')).code, 'SIGKILL')
  const [closed = ''] = (await column(url, 'SELECT bucket FROM ledger.archived_days')).map(String)
  const entry = old.find(({ accountId }) => {
    return partitionOfAccount(accountId) % testLayout.buckets === Number(closed)
  })
  assert(entry !== undefined)
  const fresh = { ...entry, id: idAt(noon(6)) }
  await write(url, [entry, fresh])
  assert.deepEqual(await column(url, 'SELECT count(*)::int FROM ledger.held_entries'), [2])
  const reopened = await restore(url, '--reopen')
  assert.equal(reopened.code, 0, reopened.err)
  assert.match(reopened.out, /1 are new, 1 repeat an entry/)
  assert.equal((await ledgerRows(url)).length, rows.length + 1)
  await write(url, [{ ...fresh, id: idAt(noon(6)) }])
  assert.equal((await ledgerRows(url)).length, rows.length + 2)
})

test('a changed file is refused before anything is changed', async () => {
  const { url } = await scene()
  const to = newDirectory()
  assert.equal((await archive(url, to)).code, 0)
  const [first = ''] = (await readdir(to)).sort()
  const [file = ''] = (await readdir(join(to, first))).filter((name) => name.endsWith('.gz'))
  const path = join(to, first, file)
  const bytes = await readFile(path)
  bytes.writeUInt8(bytes.readUInt8(bytes.length >> 1) ^ 1, bytes.length >> 1)
  await writeFile(path, bytes)
  const restored = await restore(url, '--from', join(to, first))
  assert.equal(restored.code, 1)
  assert(restored.err.includes(`${path}: expected`), restored.err)
  assert.deepEqual(await daysArchived(url), [8])
})

test('another database takes the days too, unless it has such entries', async () => {
  const { url } = await scene()
  const rows = (await ledgerRows(url)).map(String)
  const to = newDirectory()
  assert.equal((await archive(url, to)).code, 0)
  const kept = new Set((await ledgerRows(url)).map(String))
  const other = await createTestLedger(server)
  const restored = await restore(other, '--from', to)
  assert.equal(restored.code, 0, restored.err)
  assert.deepEqual(
    await ledgerRows(other),
    rows.filter((row) => !kept.has(row)),
  )
  const third = await createTestLedger(server)
  const stray = entriesOf(6, 1)
  await write(third, stray)
  const refused = await restore(third, '--from', to, '--day', dateOf(6))
  assert.equal(refused.code, 1)
  assert.match(refused.err, /expected no entries of the day, found some in ledger\.transactions_b/)
})

test('what it cannot work with is said on standard error', async () => {
  const help = await runCommand(['archive', '--help'])
  assert.equal(help.code, 0)
  assert.match(help.out, /--before DATE/)
  const early = await runCommand(['archive', '--before', dateOf(0), '--to', 'x'])
  assert.equal(early.code, 2)
  assert.match(early.err, /^--before: expected \d{4}-\d\d-\d\d at the latest, found/)
  const odd = await runCommand(['archive', '--before', '2026-02-30', '--to', 'x'])
  assert.match(odd.err, /^--before: expected a date such as 2026-01-31, found 2026-02-30/)
  const empty = await runCommand(['restore', '--from', directory.path])
  assert.equal(empty.code, 2)
  assert.match(empty.err, /expected a directory that archive wrote, found no manifest there/)
  const unknown = await runCommand(['restore', '--linger', '5'])
  assert.equal(unknown.code, 2)
  assert.match(unknown.err, /Unknown option '--linger'/)
})
