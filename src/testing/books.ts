// A small ledger with everything in it that can be in one, and the log that made it, kept whole.
// In:  a test server, a directory.
// Out: a database to copy, a data directory whose log has every record.
// Absent: verifying any of it.

import assert from 'node:assert/strict'
import { cpSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { Client as Database } from 'pg'
import { lowestIdAt } from '../ledger/leaves.ts'
import { leavesOf } from '../ledger/rollup-leaves.ts'
import { rollUp } from '../ledger/rollups.ts'
import { openEmbeddedLog } from '../log/embedded.ts'
import type { Log } from '../log/log.ts'
import { encodeBatch } from '../record/encode.ts'
import { column, withConnection } from './ledger.ts'
import type { TestPostgres } from './postgres.ts'
import { Program } from './program.ts'
import { idAt, partitionOfAccount, uuidBytes } from './rows.ts'

interface Item {
  accountId: string
  id: string
  amount: bigint
}

export interface Books {
  server: TestPostgres
  /** Name of a database nobody is connected to. */
  template: string
  /** Has a log of all records, and of one more that is not applied. */
  dataDir: string
}

/** Partitions of it hold records that are no batches. */
const quarantinedPartition = 7
/** And in the log of this one is a record that no worker has seen. */
const unappliedPartition = 5
const itemsPerRound = 1500
const day = 86_400_000

export async function makeBooks(server: TestPostgres, directory: string): Promise<Books> {
  const template = `books_${process.pid}`
  const url = await server.createDatabase(template)
  const [work, kept] = [join(directory, 'work'), join(directory, 'kept')]
  const now = Date.now()
  const first = itemsAt(now, itemsPerRound)
  await appendRound(work, first, now - 60_000)
  // The program trims what is applied; the other log goes on as the same one.
  cpSync(join(work, 'log'), join(kept, 'log'), { recursive: true })
  await apply(work, url)
  // Some again, some with another amount, and others.
  const again = first.slice(0, 300).map((item, index) => {
    return { ...item, amount: item.amount + BigInt(index % 3) }
  })
  const second = [...again, ...itemsAt(now, itemsPerRound)]
  for (const dataDir of [work, kept]) {
    await appendRound(dataDir, second, now - 30_000)
    await withLog(dataDir, async (log) => {
      for (const text of ['garbage', 'more of it']) {
        await log.append(quarantinedPartition, Buffer.from(text), now - 20_000)
      }
    })
  }
  await apply(work, url)
  await withLog(kept, async (log) => {
    const unseen = itemsAt(now, 1000).find((item) => partitionOfItem(item) === unappliedPartition)
    assert(unseen)
    await log.append(unappliedPartition, record([unseen]), now)
  })
  await withConnection(url, async (connection) => {
    for (const leaf of await leavesOf(connection)) {
      if (leaf.kind === 'rest') await rollUp(connection, leaf, lowestIdAt(now + 1000))
    }
  })
  return { server, template, dataDir: kept }
}

/** A database of its own with the same content, changed by some SQL. */
export async function changedCopy(books: Books, name: string, sql: string): Promise<string> {
  const { server, template } = books
  const admin = new Database(server.url)
  await admin.connect()
  await admin.query(`CREATE DATABASE ${name} TEMPLATE ${template} STRATEGY file_copy`)
  await admin.end()
  const url = new URL(server.url)
  url.pathname = `/${name}`
  await withConnection(url.href, (connection) => connection.script(sql))
  return url.href
}

function itemsAt(now: number, count: number): Item[] {
  return Array.from({ length: count }, (_, index) => ({
    accountId: crypto.randomUUID(),
    id: index % 20 === 0 ? crypto.randomUUID() : idAt(now - (index % 2) * day),
    amount: BigInt(index * 7 - 3000),
  }))
}

function partitionOfItem({ accountId }: Item): number {
  return partitionOfAccount(accountId)
}

function record(items: readonly Item[]): Uint8Array {
  return encodeBatch(
    items.map(({ accountId, id, amount }) => {
      return { accountId: uuidBytes(accountId), id: uuidBytes(id), amount }
    }),
  )
}

async function withLog(dataDir: string, use: (log: Log) => Promise<void>): Promise<void> {
  const log = await openEmbeddedLog({ directory: join(dataDir, 'log'), diskBytesMax: 2 ** 28 })
  try {
    await use(log)
  } finally {
    await log.close()
  }
}

/** Two records for each partition, as far as the items go. */
async function appendRound(dataDir: string, items: readonly Item[], at: number): Promise<void> {
  const byPartition = new Map<number, Item[]>()
  for (const item of items) {
    const partition = partitionOfItem(item)
    byPartition.set(partition, [...(byPartition.get(partition) ?? []), item])
  }
  await withLog(dataDir, async (log) => {
    const appends: Promise<number>[] = []
    for (const [partition, own] of byPartition) {
      const half = Math.ceil(own.length / 2)
      for (const part of [own.slice(0, half), own.slice(half)]) {
        if (part.length > 0) appends.push(log.append(partition, record(part), at))
      }
    }
    await Promise.all(appends)
  })
}

/** Runs the program until all of the log is in the tables and in links. */
async function apply(dataDir: string, url: string): Promise<void> {
  const flags = ['--listen', '127.0.0.1:0', '--data-dir', dataDir, '--database-url', url]
  const program = new Program([...flags, '--buckets', '2', '--workers', '1'])
  await program.ready()
  const ends = new Map<number, number>()
  const end = performance.now() + 30_000
  for (;;) {
    const response = await fetch(`${program.url}/metrics`)
    const text = await response.text()
    const lags = [...text.matchAll(/^ledger_lag_records\{partition="(\d+)"\} (\d+)/gm)]
    for (const [, partition, lag] of lags) ends.set(Number(partition), Number(lag))
    if (ends.size === 128 && [...ends.values()].every((lag) => lag === 0)) break
    assert(performance.now() < end, program.story())
    await delay(50)
  }
  assert.equal((await program.stop()).code, 0, program.story())
  const behind = await column(
    url,
    `SELECT c.partition FROM ledger.checkpoints c LEFT JOIN ledger.chain_heads h USING (partition)
     WHERE c.next_offset > 0 AND h.to_offset IS DISTINCT FROM c.next_offset`,
  )
  assert.deepEqual(behind, [], 'a program that stops links everything')
}
