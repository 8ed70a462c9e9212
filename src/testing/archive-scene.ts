// A ledger with days to archive, and what tests ask of it.
// In:  a test server.
// Out: tables with entries of some days ago; balances as reads answer them.
// Absent: archiving.

import assert from 'node:assert/strict'
import { Balances } from '../ledger/balances.ts'
import { commitFlush } from '../ledger/commit.ts'
import { dayMilliseconds, ensureLeaves } from '../ledger/leaves.ts'
import { openLeaf, openLeafTable, sealLeaf } from '../ledger/open-leaves.ts'
import { ReadDatabases } from '../ledger/read-databases.ts'
import { claimAll, createTestLedger, flushOf, testLayout, withConnection } from './ledger.ts'
import type { TestPostgres } from './postgres.ts'
import { idAt, partitionOfAccount, uuidBytes, type Entry } from './rows.ts'

export const partitions = [...Array(128).keys()]
const now = Math.floor(Date.now() / dayMilliseconds) * dayMilliseconds
export const noon = (daysAgo: number): number =>
  now - daysAgo * dayMilliseconds + dayMilliseconds / 2
export const dateOf = (daysAgo: number): string =>
  new Date(noon(daysAgo)).toISOString().slice(0, 10)
/** Three of each bucket. */
export const accounts = Array.from({ length: 12 }, (_, index) => {
  const bucket = index % testLayout.buckets
  for (;;) {
    const account = crypto.randomUUID()
    if (partitionOfAccount(account) % testLayout.buckets === bucket) return account
  }
})

export function entriesOf(daysAgo: number, count: number): Entry[] {
  return Array.from({ length: count }, (_, index) => {
    const createdAt = noon(daysAgo) + index
    const accountId = accounts[index % accounts.length] ?? ''
    return { accountId, id: idAt(createdAt), amount: BigInt(index) * 3n - 40n, createdAt }
  })
}

export async function write(url: string, entries: readonly Entry[], mayRepeat = false) {
  return withConnection(url, async (connection) => {
    const checkpoints = await claimAll(connection, partitions)
    return commitFlush(connection, flushOf(entries, checkpoints, mayRepeat))
  })
}

/** Entries of six, five, four and no days ago; of six days ago in two leaves for one bucket. */
export async function archiveScene(server: TestPostgres): Promise<{ url: string; old: Entry[] }> {
  const url = await createTestLedger(server)
  await withConnection(url, async (connection) => {
    const span = { from: new Date(noon(6)), to: new Date(noon(0)) }
    assert.deepEqual(await ensureLeaves(connection, console, span), [])
    const checkpoints = await claimAll(connection, partitions)
    const own = checkpoints.filter(({ partition }) => partition % testLayout.buckets === 1)
    const leaf = { from: noon(6), to: noon(6) + 1000 }
    assert.equal(await openLeaf(connection, 1, leaf, own), undefined)
    await sealLeaf(connection, 1, openLeafTable(1, leaf))
  })
  const old = entriesOf(6, 1500)
  const random = { accountId: accounts[0] ?? '', id: crypto.randomUUID(), amount: 5n }
  await write(url, [...old, ...entriesOf(5, 300), ...entriesOf(4, 300)])
  await write(url, [...entriesOf(0, 100), { ...random, createdAt: noon(0) }])
  return { url, old }
}

export async function reading<Result>(
  url: string,
  read: (databases: ReadDatabases) => Promise<Result>,
): Promise<Result> {
  const { buckets } = testLayout
  const databases = new ReadDatabases({ databaseUrls: [url], buckets, logger: console })
  try {
    return await read(databases)
  } finally {
    await databases.close()
  }
}

export async function balances(url: string): Promise<unknown[]> {
  const ids = accounts.map((account) => uuidBytes(account))
  const { signal } = new AbortController()
  const found = await reading(url, (databases) => new Balances(databases).ofMany(ids, { signal }))
  return found.map((summary) => ({ ...summary, asOf: '' }))
}
